"""Segmenting files into a folder: each mask whole or absent, nothing done twice, nothing lost silently."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segdistill.data.case import numbered, shown
from segdistill.data.readers import count_planes
from segdistill.data.readers.planes import plane_path
from segdistill.data.renaming import renamed_words
from segdistill.distribution import Team
from segdistill.errors import ConfigError, DataError
from segdistill.inference.clip import steadiness_in_words
from segdistill.inference.inputs import Input, find_images, folded, name_images, name_privately
from segdistill.inference.one_image import Segmenter, halo_of, side_of
from segdistill.inference.options import Options
from segdistill.inference.outputs import chosen
from segdistill.inference.predictor import Notice
from segdistill.inference.ready import Ready, make_ready
from segdistill.inference.records import Records
from segdistill.inference.shared_out import Asked, Outcome, shared_out
from segdistill.inference.windows import window_sides
from segdistill.networks.halo_words import halo_in_words, pooling_in_words
from segdistill.settings.run_folder import SETTINGS_FILE, open_run

if TYPE_CHECKING:
    from segdistill.networks.model import Model

_USUAL = Options()
_NAMING = "dicom-seg"
_HIDDEN = "could not be segmented; the reason, which names its file, was told when it ran"
"""What is written in place of a reason under pseudonyms."""

_DECIDING = {"channels", "normalisation", "pixel_size", "structures", "thresholds", "weights_sha256"}
"""What of a model's card decides a mask."""


@dataclass(frozen=True)
class Summary:
    """What became of the images."""

    done: tuple[str, ...]
    """Names segmented now."""

    skipped: tuple[str, ...]
    """Names whose complete masks were there already."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Path of an image, or of a frame of a clip whose other frames are done, to the reason; also in failed.csv."""

    unlike: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of images segmented now that are unlike those the model was trained on, to what is unlike."""


def predict_files(
    model: "Model | Path",
    images: Sequence[Path],
    out: Path,
    *,
    options: Options = _USUAL,
    team: Team | None = None,
    notice: Notice = lambda _: None,
) -> Summary:
    """Segment images into a folder.

    Nothing is written anywhere else. What an earlier call with the same model and options completed
    is not done again; an image that has changed since is, and its old masks get the suffix
    ``.outdated``. predictions.jsonl says what belongs to which image; failed.csv lists the images
    that have no masks. Under pseudonyms an image that has changed is another image, and the masks of what it was stay.

    Args:
        model: The student, its folder, or the folder of an exported one.
        images: Files and folders; may be other ones from call to call.
        out: For the masks. New, or one that the same model and options began.
        options: How.
        team: Who works, from ``segdistill.distribution.team_of``; the model must then be a folder. The masks are the
            same. None: this process does it all.
        notice: Told one line per image.

    Returns:
        What was done. An image that cannot be used does not stop the others.

    Raises:
        DataError: There is no image.
        ConfigError: Another model or other options began this folder, the halo leaves nothing of a window,
            nothing would be written, or a team is given a model that is in no folder.
        UnknownName: There is no such output.
        EnvironmentFault: The masks cannot be written, another process writes there, the device does not work, or
            workers see other files or end again and again.
    """
    asked = chosen(options.outputs, otherwise=options.probabilities)  # refuses what there is not
    if options.private and _NAMING in asked:
        raise ConfigError(
            f"{_NAMING} files must carry the patient's name, so none is written with --private. Leave out one of both."
        )
    if team is not None and not isinstance(model, Path):
        raise ConfigError("Workers read the model from its folder: save it, and name the folder in place of the model.")
    ready = make_ready(model, options, notice=notice, before=_backend_before(out))
    found = find_images(images, without=out, pattern=options.pattern, notice=notice)
    window_sides(
        side=side_of(options, ready.predictor), halo=halo_of(ready.card, options), stride=ready.predictor.stride
    )
    with open_run(out, _identity(ready, options), defaults={"outputs": _USUAL.outputs, "private": False}):
        notice(halo_in_words(ready.card, used=halo_of(ready.card, options)))
        if (pooling := pooling_in_words(ready.card)) is not None:
            notice(f"Squeeze-excite layers pool {pooling}.")
        segmenter = Segmenter(ready.predictor, ready.card, options, out)
        records = Records(out, private=options.private)
        if options.private:
            inputs = name_privately(found)
        else:
            inputs = name_images(found, before=records.name_of, free=records.is_free)
        _refuse_planes(inputs, options.axes)
        becoming = _Becoming(records, len(inputs), options.private, notice)
        asked = becoming.missing(inputs)
        if team is not None and isinstance(model, Path):
            outcomes = shared_out(team, model, ready, segmenter, asked, tell=becoming.tell)
        else:
            outcomes = _one_by_one(segmenter, asked, becoming)
        for one, outcome in outcomes:
            becoming.note(one, outcome)
        records.write_failed()
        renamed = renamed_words(becoming.stated, options.channels, among=len(inputs))
        if renamed is not None:
            notice(renamed)
    return becoming.summary()


@dataclass
class _Becoming:
    """What becomes of the images."""

    records: Records
    number: int
    """Of images."""
    private: bool
    notice: Notice
    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unlike: dict[str, Sequence[str]] = field(default_factory=dict)
    stated: dict[str, Sequence[str]] = field(default_factory=dict)
    """The names of channels that the files of images segmented now state, where the user gave others."""

    def missing(self, inputs: Sequence[Input]) -> Iterator[Asked]:
        """Yield the images whose masks are not there, each with its number; old masks of changed ones are set aside."""
        for one in enumerate(inputs, start=1):
            try:
                if self.records.is_complete(one[1]):
                    self.skipped.append(one[1].name)
                    self.failed |= self.records.lost_frames(one[1])
                    self.tell(one, "done before")
                    continue
                self.records.set_aside(one[1])
            except DataError as error:
                self.note(one, error)
                continue
            yield one

    def note(self, one: Asked, outcome: Outcome) -> None:
        """Record what became of an image."""
        image = one[1]
        if isinstance(outcome, DataError):
            self.failed[str(image.path)] = str(outcome)
            self.records.fail(image, _HIDDEN if self.private else str(outcome))
            self.tell(one, f"failed. {outcome}")
            return
        self.stated[image.name] = outcome["stated_channels"]
        outcome = {what: fact for what, fact in outcome.items() if what != "stated_channels"}
        lost = outcome.get("lost_frames", {})
        self.failed |= {str(plane_path(image.path, int(number))): reason for number, reason in lost.items()}
        self.tell(one, _in_words(outcome))
        if lost and self.private:
            outcome = {**outcome, "lost_frames": dict.fromkeys(lost, _HIDDEN)}
        self.records.add(image, outcome)
        self.done.append(image.name)
        if outcome["unlike_training"]:
            self.unlike[image.name] = tuple(outcome["unlike_training"])

    def tell(self, one: Asked, line: str) -> None:
        """Tell something of an image."""
        self.notice(f"[{one[0]}/{self.number}] {one[1].name}: {line}")

    def summary(self) -> Summary:
        """Return it all, in the order of the names."""
        return Summary(tuple(sorted(self.done)), tuple(self.skipped), self.failed, self.unlike)


def _one_by_one(segmenter: Segmenter, asked: Iterable[Asked], becoming: _Becoming) -> Iterator[tuple[Asked, Outcome]]:
    """Segment each image here."""
    for one in asked:
        try:
            yield one, segmenter(one[1], notice=partial(becoming.tell, one))
        except DataError as error:
            yield one, error


def _refuse_planes(inputs: Sequence[Input], axes: str | None) -> None:
    """Refuse files of many planes beside a folder of their name, whose images are called as the planes are."""
    folders = {folded(name.rpartition("/")[0]) for name in (image.name for image in inputs)}
    for image in inputs:
        if folded(image.name) in folders and count_planes(image.path, axes) > 1:
            raise ConfigError(
                f"{image.path} has many planes, whose masks are called {image.name}/0001 and so on, and there is a"
                f" folder of images {image.name}, too, so that two masks could have one name. Segment one of them into"
                " another --out."
            )


def _backend_before(out: Path) -> str | None:
    """Return what of an exported model computed the masks that are in a folder: others must be from the same."""
    record = out / SETTINGS_FILE
    return json.loads(record.read_text(encoding="utf-8")).get("backend") if record.exists() else None


def _identity(model: Ready, options: Options) -> dict[str, Any]:
    """Return what decides every mask: two calls that agree in it may share a folder."""
    card = model.card.model_dump(mode="json", include=_DECIDING) | {"weights_sha256": model.weights_sha256}
    exported = {} if model.backend is None else {"backend": model.backend, "backend_sha256": model.backend_sha256}
    return exported | {
        "command": "predict",
        "model": card,
        "channels": options.channels,
        "axes": options.axes,
        "pattern": options.pattern,
        "tile": side_of(options, model.predictor),
        "halo": model.card.halo["fast"] if options.halo is None else options.halo,  # what folders of before have
        "outputs": chosen(options.outputs, otherwise=True),
        "probabilities": options.probabilities,
        "pixel_size": options.pixel_size,
        "fill_non_finite": options.fill_non_finite,
        "fill_missing": options.fill_missing,
        "private": options.private,
    }


def _in_words(facts: Mapping[str, Any]) -> str:
    found = ", ".join(_number(name, numbers) for name, numbers in facts["structures"].items())
    strange = "; ".join(facts["unlike_training"])
    said = "empty" if facts["empty"] else found
    if "frame_to_frame_dice" in facts:
        said += f". {steadiness_in_words(facts['frame_to_frame_dice'])}"
    lost = facts.get("lost_frames", {})
    if lost:
        said += f". {len(lost)} frames cannot be segmented: {shown(lost)}; {next(iter(lost.values()))}"
    return said + (f". Unlike the training images: {strange}" if strange else "")


def _number(structure: str, numbers: Mapping[str, int | None]) -> str:
    """Return a structure's numbers in words.

    >>> _number("cell", {"objects": 1234, "pixels": 99_000, "dropped": 2})
    'cell: 1,234 objects (2 too small)'
    >>> _number("cell", {"objects": 1, "pixels": 90, "dropped": 0})
    'cell: 1 object'
    >>> _number("vessel", {"objects": None, "pixels": 99_000, "dropped": 0})
    'vessel: 99,000 pixels'
    """
    if numbers["objects"] is None:
        return f"{structure}: {numbered(numbers['pixels'] or 0, 'pixel')}"
    return f"{structure}: {numbered(numbers['objects'], 'object')}" + (
        f" ({numbers['dropped']:,} too small)" if numbers["dropped"] else ""
    )
