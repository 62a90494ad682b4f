"""Which prediction belongs to which label: two files, or the files of one stem in two folders."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from segdistill.data.case import numbered, shown
from segdistill.data.folders import label_stem
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.sides import Coco, coco_of, inner_labels, is_folder, label_files

IN_ONE_FOLDER = (
    "If labels of several structures are classes or bits in the files of one folder, say which, --label-kind classes or"
    " bits, and name the values as the sub-folders of predictions: --value-names.1 NAME --value-names.2 NAME and so on"
)
"""What to do where predictions lie apart and labels do not."""


@dataclass(frozen=True)
class Pair:
    """A labelled field and what was predicted of it."""

    name: str
    """Path of the label in its folder without suffix, as "plate3/A01"."""

    label: Path
    """What a person said."""

    prediction: Path | None
    """None means that there is none."""

    ignore: Path | None = None
    """Mask whose nonzero pixels do not count; None means that there is no such mask."""

    field_of_view: Path | None = None
    """Mask whose zero pixels do not count; None means that the whole image is seen."""

    image: Path | None = None
    """The image itself; None where none was named."""

    size: tuple[int, int] | None = None
    """Pixels along y and x, where they are known from something else than a label image; see ``with_sizes``."""


@dataclass(frozen=True)
class Pairing:
    """Two folders, paired."""

    pairs: tuple[Pair, ...]
    """One per label, by name."""

    alone: tuple[str, ...] = ()
    """Names of predictions without a label."""

    notes: tuple[str, ...] = ()
    """What people should know of the files."""

    value_names: Mapping[int, str] | None = None
    """Structure by class number or bit value of the labels. None: they have no names, or are no classes or bits."""

    part: str = ""
    """Which structure of ``value_names`` predictions are masks of. Empty: all that the labels show."""


def pair_up(
    predictions: Path,
    labels: Path,
    *,
    ignore: Path | None = None,
    field_of_view: Path | None = None,
    structure: str = "cell",
    part: str = "",
    value_names: Mapping[int, str] | None = None,
) -> Pairing:
    """Return which prediction belongs to which label.

    Args:
        predictions: A folder, searched through, or a file of label images or outlines; or a COCO file.
        labels: A folder or a file, as the predictions are; or a COCO file beside a folder or another one.
            In folders, files of one stem belong together, whatever their suffixes; two files belong
            together whatever their names; images of a COCO file are found by their files' names.
        ignore: Folder or file, as the others, of masks whose nonzero pixels do not count. A label
            without a mask counts everywhere. None: there are none.
        field_of_view: The same for masks whose zero pixels do not count.
        structure: Category of COCO files, if they have several.
        part: Sub-folder of both folders, which names a structure, and in COCO files the category. Empty: the
            folders themselves.
        value_names: Structure by class number or bit value of the labels: then these are in one folder for all
            structures, and ``part`` is the one that predictions are masks of. If they have no sub-folder of
            that name, all of them are. None: no value has a name.

    Raises:
        ConfigError: One is a folder and another a file, or a COCO file has no such category.
        DataError: A path does not exist, a folder has several files of one stem (and not because
            ``segdistill predict`` wrote them) or no picture, or no prediction or mask belongs to any label.
    """
    if value_names is None:
        inside = {"predictions": _inside(predictions, part), "labels": _inside(labels, part)}
        _refuse_no_part(labels, inside["labels"], part)
    else:
        apart = predictions / part
        inside = {"predictions": apart if part and apart.is_dir() else predictions, "labels": labels}
    paths = {**inside, "--ignore": ignore, "--field-of-view": field_of_view}
    given = {what: path for what, path in paths.items() if path is not None}
    refuse_mixture(given)
    if not is_folder(inside["labels"]):
        pair = Pair(label_stem(Path(labels.name)), labels, predictions, ignore, field_of_view)
        return Pairing((pair,), value_names=value_names, part=_of_values(part, value_names))
    coco = {what: coco_of(path) for what, path in inside.items()}
    read = {what: label_files(path) for what, path in given.items() if not coco.get(what)}
    files = {what: found for what, (found, _) in read.items()}
    notes = tuple(note for _, own in read.values() for note in own)
    notes += _add_inner(files, coco, structure=part or structure, exactly=bool(part))
    names = sorted(files["labels"])
    for what, found in files.items():
        _refuse_strangers(what, given[what], found, labels, names)
    notes += tuple(_of_no_label(given, files, names))
    ignored, seen = files.get("--ignore", {}), files.get("--field-of-view", {})
    pairs = (
        Pair(name, files["labels"][name], files["predictions"].get(name), ignored.get(name), seen.get(name))
        for name in names
    )
    alone = tuple(sorted(set(files["predictions"]) - set(names)))
    return Pairing(tuple(pairs), alone, notes, value_names, _of_values(part, value_names))


def _of_no_label(
    given: Mapping[str, Path], files: Mapping[str, Mapping[str, Path]], names: Collection[str]
) -> Iterator[str]:
    """Yield a remark on masks of what counts that belong to no label: a label that lacks its mask counts everywhere."""
    for what in ("--ignore", "--field-of-view"):
        lonely = sorted(set(files.get(what, ())) - set(names))
        if lonely:
            yield (
                f"{given[what]} ({what}) has {numbered(len(lonely), 'mask')} of no label, which leave nothing out:"
                f" {shown(lonely)}. Masks have the labels' stems."
            )


def _of_values(part: str, value_names: Mapping[int, str] | None) -> str:
    """Return the structure that predictions are masks of; where values have no names, folders say it."""
    return "" if value_names is None else part


def _refuse_no_part(labels: Path, inside: Path, part: str) -> None:
    """Refuse labels without the folder of a structure, and say what helps where they hold it as a value."""
    if labels.is_dir() and not inside.exists():
        raise DataError(
            f"There is no file or folder {inside} for the structure {part!r}. {IN_ONE_FOLDER}; otherwise check the"
            " path."
        )


def _inside(path: Path, part: str) -> Path:
    """Return the sub-folder of a structure; COCO files have none, as their categories are the structures."""
    return path / part if part and not coco_of(path) else path


def _add_inner(
    files: dict[str, dict[str, Path]], coco: Mapping[str, Coco], *, structure: str, exactly: bool
) -> tuple[str, ...]:
    """Add what COCO files hold, under the names of the other side's files; return remarks on the labels."""
    notes: tuple[str, ...] = ()
    known: Collection[str] = files.get("predictions", ())
    for what in ("labels", "predictions"):
        if coco[what]:
            files[what], found = inner_labels(coco[what], known, structure=structure, exactly=exactly)
            notes += found if what == "labels" else ()
        known = files[what]
    return notes


def refuse_mixture(paths: Mapping[str, Path]) -> None:
    """Refuse paths that do not exist, or of which some hold many files and some are one.

    Raises:
        DataError: One does not exist.
        ConfigError: One is a folder and another a file.
    """
    for path in paths.values():
        if not path.exists():
            raise DataError(f"There is no file or folder {path}. Check the path.")
    if len({is_folder(path) for path in paths.values()}) > 1:
        found = ", ".join(f"{path} is a {'folder' if is_folder(path) else 'file'}" for path in paths.values())
        raise ConfigError(f"{found}. Name folders throughout, or one file of each.")


def _refuse_strangers(what: str, folder: Path, files: Mapping[str, Path], labels: Path, names: Collection[str]) -> None:
    """Refuse a folder none of whose files belongs to a label: surely that is not meant."""
    if not set(files) & set(names):
        apart = what == "predictions" and {name.partition("/")[2] for name in files} & set(names)
        raise DataError(
            f"{folder} ({what}) and {labels} (labels) have no two files of the same stem:"
            f" {shown(sorted(files), most=3)}; {shown(names, most=3)}. Check the folders, or rename the files of one."
            + (f" {IN_ONE_FOLDER}." if apart else "")
        )
