"""Cases from a plain folder: images/ and, where they exist, labels/, ignore/ and field_of_view/.

    images/A01.ome.tif           labels/A01.png            same stem, any suffixes
    images/plate 3/A01.tif       labels/plate 3/A01.tif    sub-folders are groups
    images/test/A01.tif          labels/test/A01.tif       a sub-folder train, validation or test is a split
    images/A01.tif               labels/cell/A01.tif       several structures, a folder for each
                                 labels/nucleus/A01.tif
    images/A01_dapi.tif          labels/A01.tif            one file per channel, by a pattern
    images/A01_actin.tif                                   "{name}_{channel}.tif"

    images/scan.nii.gz           labels/scan.nii.gz        each plane of a volume, or frame of a DICOM file or a clip,
                                                           is an image; those of one file are a group
    images/clip.mp4              labels/clip.tif           labels of all frames in one file, or a file for each frame
                                 labels/clip/0012.png      that is labelled, called by its number
    images/A01.tif               labels/annotations.json   COCO: objects of every image in one file; each
    images/A02.tif                                         category is a structure

Files of ignore/ and field_of_view/ are paired as those of labels/ are. All three may hold outlines, too:
A01.geojson from QuPath, A01.roi or A01.zip from ImageJ; A01.tif.geojson belongs to A01 as well.
"""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path, PurePath, PurePosixPath

from segdistill.data.case import SPLIT_WORDS, Case, Split, notes_on_unlabelled, numbered, shown, stem
from segdistill.data.coco import is_coco, read_coco
from segdistill.data.coco_pairing import inner_files, notes_on
from segdistill.data.outlines import is_outlines
from segdistill.data.readers import BUILTIN
from segdistill.data.readers.dicom_header import is_dicom
from segdistill.data.readers.ome_zarr import is_zarr
from segdistill.data.stacks import divided
from segdistill.data.stacks import notes as stack_notes
from segdistill.errors import ConfigError, DataError

_NO_PICTURE = {
    *(".csv", ".db", ".htm", ".html", ".ini", ".json", ".log", ".md", ".partial", ".pdf", ".sha256"),
    *(".toml", ".tsv", ".txt", ".xml", ".yaml", ".yml", ".zip", ""),
}
_REGIONS = ("ignore", "field_of_view")


@dataclass(frozen=True)
class Found:
    """What a folder or a manifest holds."""

    cases: tuple[Case, ...]
    """In the order of their names, or of the manifest."""

    label_sets: tuple[str, ...]
    """Names of the label sets, in order; none where nothing is labelled."""

    notes: tuple[str, ...] = ()
    """What was left aside or looks odd, for people."""


@dataclass
class _Shelf:
    """The files of one folder by stem."""

    files: dict[str, Path] = field(default_factory=dict)
    aside: list[str] = field(default_factory=list)


def read_folder(root: Path, *, structure: str, pattern: str | None, axes: str | None = None) -> Found:
    """Return the cases of a folder.

    Args:
        root: The folder that holds ``images/``. Nothing in it is changed.
        structure: Name of the label set if ``labels/`` holds files; unused if it holds a folder
            for each structure, which then has the folder's name.
        pattern: Of the files in ``images/`` with ``{name}`` and ``{channel}`` in it, if each
            channel has its own file; None means one file per image.
        axes: Meaning of the axes of the images' files; None takes the files' own.

    Raises:
        DataError: There are no images, two files share a stem, a channel is missing, or no label
            belongs to any image.
        ConfigError: The pattern or the folders of ``labels/`` can be read in two ways.
    """
    folder = root / "images"
    if not folder.is_dir():
        there = shown(sorted(entry.name for entry in root.iterdir()))
        raise DataError(
            f"{root} has no folder images/ (it holds {there or 'nothing'}). Put the images into {root.name}/images and"
            " labels of the same stem into labels/, or give a CSV manifest."
        )
    images, aside = _images(folder, pattern)
    if not images:
        raise DataError(f"{folder} holds no image{_of(pattern)}. Found: {shown(aside) or 'nothing'}.")
    labels, remarks = _coco_shelves(root / "labels", images)
    labels = labels or {name: _shelf(path) for name, path in _label_folders(root, structure).items()}
    regions = {name: _shelf(root / name) for name in _REGIONS}
    files = tuple(_case(name, images[name], labels, regions) for name in sorted(images))
    cases = tuple(_with_own(case, labels, regions) for case in divided(files, axes=axes))
    names = {*images, *(case.name for case in cases)}
    _refuse_strangers(root, names, labels)
    notes = [*_asides("images", aside), *remarks, *_notes(cases, names, labels, regions), *_group_notes(files)]
    notes += stack_notes(files, cases)
    return Found(cases, tuple(name for name in labels if labels[name].files), tuple(notes))


def _case(
    name: str, image: Path | Mapping[str, Path], labels: Mapping[str, _Shelf], regions: Mapping[str, _Shelf]
) -> Case:
    split, group = _split_and_group(name)
    own = {label_set: shelf.files[name] for label_set, shelf in labels.items() if name in shelf.files}
    ignore, field_of_view = (regions[region].files.get(name) for region in _REGIONS)
    return Case(name, image, own, ignore, field_of_view, group, split)


def _with_own(case: Case, labels: Mapping[str, _Shelf], regions: Mapping[str, _Shelf]) -> Case:
    """Return a case with the files that are called by its own name: of a frame, beside those of its clip."""
    own = {label_set: shelf.files[case.name] for label_set, shelf in labels.items() if case.name in shelf.files}
    ignore, field_of_view = (regions[region].files.get(case.name) for region in _REGIONS)
    return replace(
        case,
        labels={**case.labels, **own},
        ignore=ignore or case.ignore,
        field_of_view=field_of_view or case.field_of_view,
    )


def _split_and_group(name: str) -> tuple[Split | None, str]:
    """Take the split and the group from sub-folders: "test/patient 7/A01" is test, patient 7."""
    *parents, _ = name.split("/")
    split = SPLIT_WORDS.get(parents[0].lower()) if parents else None
    if split:
        parents = parents[1:]
    return split, parents[0] if parents else name


def _files(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, and every Zarr folder as if it were a file."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        pictures = [name for name in folders if name.lower().endswith(".zarr") or is_zarr(Path(place, name))]
        folders[:] = [name for name in folders if name not in pictures]
        yield from (Path(place, name) for name in sorted([*files, *pictures]) if not name.startswith("."))


def _is_label(path: Path) -> bool:
    return is_outlines(path) or _is_picture(path)


def _is_image(path: Path) -> bool:
    return not is_outlines(path) and _is_picture(path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() not in _NO_PICTURE or path.is_dir() or is_dicom(path)


def label_stem(path: Path) -> str:
    """Return what pairs a label file with its image: its stem, or the image's if outlines are named after its file.

    >>> label_stem(Path("plate/A01.tif.geojson")), label_stem(Path("plate/A01.v2.png"))
    ('plate/A01', 'plate/A01.v2')
    """
    bare = path.with_suffix("")
    return stem(bare if is_outlines(path) and bare.suffix.lower() in BUILTIN else path)


def _shelf(folder: Path, wanted: Callable[[Path], bool] = _is_label) -> _Shelf:
    """Return the wanted files of a folder by stem; empty if there is no such folder."""
    shelf, twins = _Shelf(), defaultdict(list)
    for path in _files(folder):
        inside = path.relative_to(folder)
        if not wanted(path):
            shelf.aside.append(inside.as_posix())
            continue
        name = label_stem(inside)
        twins[name].append(inside.as_posix())
        shelf.files[name] = path
    doubled = [" and ".join(group) for group in twins.values() if len(group) > 1]
    if doubled:
        raise DataError(
            f"{folder} has several files of one stem: {shown(doubled)}. Labels are found by stem, so keep one of"
            " each, or say with a CSV manifest which belongs to which."
        )
    return shelf


def _images(folder: Path, pattern: str | None) -> tuple[dict[str, Path | Mapping[str, Path]], list[str]]:
    if pattern is None:
        shelf = _shelf(folder, _is_image)
        return dict(shelf.files), shelf.aside
    images, aside = join_channels(((path, path.relative_to(folder)) for path in _files(folder)), pattern)
    _refuse_gaps(folder, images)
    return dict(images), aside


def join_channels(files: Iterable[tuple[Path, PurePath]], pattern: str) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Return the images whose channels some files are, and which files match no pattern.

    Args:
        files: Each file, and its path below the folder of the images.
        pattern: With ``{name}`` and ``{channel}``.

    Returns:
        Image to channel to file; and the places of the files that do not match.

    Raises:
        ConfigError: The pattern does not hold each of the two once.
        DataError: Two files are one channel of one image.
    """
    images, aside = defaultdict[str, dict[str, Path]](dict), []
    for path, place in files:
        inside = PurePosixPath(place.as_posix())
        parts = channel_of(inside, pattern)
        if parts is None:
            aside.append(str(inside))
            continue
        name, channel = parts
        twin = images[name].setdefault(channel, path)
        if twin != path:
            raise DataError(f"{twin} and {path} are both channel {channel!r} of {name!r}. Keep one.")
    return {name: dict(sorted(channels.items())) for name, channels in images.items()}, aside


def channel_of(path: PurePosixPath, pattern: str) -> tuple[str, str] | None:
    """Return the image and the channel that a file is by a pattern; None if it does not match.

    Args:
        path: Below the folder of the images.
        pattern: With ``{name}`` and ``{channel}``. If it ends with one of them, suffixes are left away.

    Raises:
        ConfigError: The pattern does not hold each of the two once.

    >>> channel_of(PurePosixPath("plate 1/A01_DAPI.tif"), "{name}_{channel}.tif")
    ('plate 1/A01', 'DAPI')
    """
    inside = stem(path) if pattern.endswith("}") else unicodedata.normalize("NFC", path.as_posix())
    match = _expression(pattern).fullmatch(inside)
    return None if match is None else (match["name"], match["channel"])


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a pattern such as "{name}_{channel}.tif"."""
    pieces = re.split(r"(\{[^{}]*\})", unicodedata.normalize("NFC", pattern))
    fields = sorted(piece for piece in pieces if piece.startswith("{"))
    if fields != ["{channel}", "{name}"]:
        raise ConfigError(
            f"The pattern {pattern!r} must hold {{name}} and {{channel}}, each once, as in '{{name}}_{{channel}}.tif'"
            f" (found: {', '.join(fields) or 'neither'})."
        )
    meaning = {"{name}": "(?P<name>.+)", "{channel}": "(?P<channel>[^/]+)"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces), re.IGNORECASE)


def _refuse_gaps(folder: Path, images: Mapping[str, Mapping[str, Path]]) -> None:
    channels = {channel for files in images.values() for channel in files}
    gaps = [
        f"{name} lacks {', '.join(sorted(channels - set(files)))}"
        for name, files in sorted(images.items())
        if channels - set(files)
    ]
    if gaps:
        raise DataError(
            f"In {folder} some images have channels ({', '.join(sorted(channels))}) that others lack: {shown(gaps)}."
            " Add the missing files, remove the others, or correct the pattern."
        )


def _of(pattern: str | None) -> str:
    return f" that matches the pattern {pattern!r}" if pattern else ""


def _label_folders(root: Path, structure: str) -> dict[str, Path]:
    """Return label set to folder; sub-folders of labels/ repeat those of images/ or name structures."""
    folder = root / "labels"
    if not folder.is_dir():
        return {}
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    folders = [entry for entry in entries if entry.is_dir() and entry.suffix.lower() != ".zarr" and not is_zarr(entry)]
    below = {unicodedata.normalize("NFC", entry.name): entry for entry in folders}
    images = {_as_folder(entry) for entry in (root / "images").iterdir() if entry.name[0] != "."}
    mirrored = images & below.keys()
    pictures = [entry for entry in entries if entry not in folders and _is_label(entry)]
    if pictures or not below or mirrored == below.keys():
        return {structure: folder}
    if mirrored:
        raise ConfigError(
            f"Of the folders in {folder}, {shown(sorted(mirrored))} repeat folders of images/, but"
            f" {shown(sorted(below.keys() - mirrored))} do not, so it is unclear whether they name structures."
            " Use one folder per structure, or only the folders of images/, or a CSV manifest."
        )
    return {name: below[name] for name in sorted(below)}


def _as_folder(entry: Path) -> str:
    """Return what a folder of labels is called that goes with a folder of images, or with the frames of a file."""
    return unicodedata.normalize("NFC", entry.name) if entry.is_dir() else stem(Path(entry.name))


def coco_files(folder: Path) -> list[Path]:
    """Return the COCO files of a folder of labels; none where there is any label file, or folder, beside them."""
    entries = [entry for entry in sorted(folder.iterdir()) if entry.name[0] != "."] if folder.is_dir() else []
    if any(entry.is_dir() or _is_label(entry) for entry in entries):
        return []
    return [entry for entry in entries if entry.is_file() and is_coco(entry)]


def _coco_shelves(folder: Path, images: Collection[str]) -> tuple[dict[str, _Shelf], list[str]]:
    """Return label set to what COCO files hold of it, and remarks; nothing where there is anything but such files."""
    read = [(path, read_coco(path)) for path in coco_files(folder)]
    shelves = {structure: _Shelf(found) for structure, found in inner_files(read, images).items()}
    return shelves, [note for path, file in read for note in notes_on(path, file)]


def _refuse_strangers(root: Path, images: Collection[str], labels: Mapping[str, _Shelf]) -> None:
    """Refuse a folder of labels none of which belongs to an image: surely that is not meant."""
    there = {name for shelf in labels.values() for name in shelf.files}
    if there and not there & set(images):
        raise DataError(
            f"{root} has {len(there)} labels and {len(images)} images, but no two of the same stem:"
            f" labels {shown(sorted(there), most=3)}; images {shown(sorted(images), most=3)}."
            " Rename one of them, or say with a CSV manifest which belongs to which."
        )


def _asides(folder: str, aside: list[str]) -> list[str]:
    return [f"{folder}/: {numbered(len(aside), 'file')} left aside: {shown(aside)}."] if aside else []


def _notes(
    cases: Collection[Case], images: Collection[str], labels: Mapping[str, _Shelf], regions: Mapping[str, _Shelf]
) -> Iterator[str]:
    for what, shelf in (*labels.items(), *regions.items()):
        yield from _asides(what, shelf.aside)
        lonely = sorted(set(shelf.files) - set(images))
        if lonely:
            yield f"{what}: {numbered(len(lonely), 'file')} without an image: {shown(lonely)}."
    yield from notes_on_unlabelled(cases, labels)


def _group_notes(cases: tuple[Case, ...]) -> Iterator[str]:
    if any(case.split for case in cases):
        yield "splits are taken from the sub-folders of images/ called train, validation or test."
    groups = {case.group for case in cases if case.group != case.name}
    if groups:
        yield f"groups are the sub-folders of images/: {shown(sorted(groups))}. A manifest can name others."
