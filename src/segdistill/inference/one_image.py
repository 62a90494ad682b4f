"""Segmenting one image into files."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from segdistill.data.channels import BLANK
from segdistill.data.clips import is_clip
from segdistill.data.image import Image, ImageSource, stated_names
from segdistill.data.normalisation import rule_from_json
from segdistill.data.readers import open_image
from segdistill.data.stacks import planes_of
from segdistill.engine.progress import time_left
from segdistill.errors import DataError, EnvironmentFault
from segdistill.files import remove, sha256_path
from segdistill.inference.blocks import BlockSegmenter
from segdistill.inference.canvas import Mask
from segdistill.inference.clip import ClipAccount, open_account
from segdistill.inference.familiarity import appearance, unlike, unlike_in_size
from segdistill.inference.file_outputs import FILE_OUTPUTS, OF_CLIPS, FileOutput
from segdistill.inference.inputs import Input
from segdistill.inference.options import Options
from segdistill.inference.outputs import OUTPUTS, chosen
from segdistill.inference.predictor import Notice, Predictor
from segdistill.inference.scale import at_model_scale
from segdistill.inference.segmented import Segmented
from segdistill.inference.target import Target, structure_file
from segdistill.inference.windows import Part, View, blank_maps, run_windows, usual_side, view_of
from segdistill.networks.card import ModelCard
from segdistill.networks.halo_words import fast_halo

Files = Path | Mapping[str, Path]
"""One file, or channel to file."""

WindowsOf = Callable[[Files, View, Notice], Iterator[Part]]
"""What computes the windows of a plane, whose files are named, too."""

_SECONDS_BETWEEN_LINES = 10.0


@dataclass(frozen=True, eq=False)
class _Plane:
    """One plane that is to be segmented, and what is common to those of its file."""

    name: str
    """Of its masks."""

    number: int
    """In the file, counted from 1."""

    together: Sequence[FileOutput]
    """What takes the masks of all planes of the file."""

    clip: ClipAccount | None
    """None: the planes of the file do not follow each other in time."""


@dataclass(frozen=True, eq=False)
class Segmenter:
    """A model that is ready for images, and where its masks go."""

    predictor: Predictor
    """Computes."""

    card: ModelCard
    """The model's."""

    options: Options
    """How."""

    out: Path
    """Folder for the masks."""

    windows: WindowsOf | None = None
    """Who computes windows in place of the predictor; what they say must be the same. None: nobody else does."""

    def __call__(self, image: Input, *, notice: Notice) -> dict[str, Any]:
        """Write what is asked of an image's masks, each file whole or not at all, and return what is to be recorded.

        The planes of a file that holds many are segmented one by one; their masks are named after the file and their
        numbers, and NIfTI, DICOM-SEG and overlays hold those of all. Of a clip label images hold those of all frames,
        too, all frames are brought to 0...1 by one range, and a damaged frame does not stop the others.

        Args:
            image: Which.
            notice: Told how far a large image is, and where memory is short.

        Raises:
            DataError: The image cannot be used; what was written of it until then is gone, so that no mask lies there
                unrecorded and is taken for that of another state of the image.
            EnvironmentFault: The masks cannot be written, or memory ran out.
        """
        written: list[Path] = []
        try:
            facts = self._write(image, written, notice)
        except DataError:
            _discard(written)
            raise
        return facts | {"files": {path.relative_to(self.out).as_posix(): sha256_path(path) for path in written}}

    def _write(self, image: Input, written: list[Path], notice: Notice) -> dict[str, Any]:
        """Write an image's masks, add their files to ``written``, and return what else is to be recorded."""
        # A table has the intensities of all channels, whichever of them the model looks at.
        every = "table" in self.options.outputs
        files = image.files or image.path if every else files_of_use(image, self.card.channels)
        planes = planes_of(files, axes=self.options.axes)
        clip = None
        if len(planes) > 1 and is_clip(_first(files)):
            clip = open_account(planes, self.card, self.options)
        with ExitStack() as stack:
            kinds = FILE_OUTPUTS if clip is None else {**OF_CLIPS, **FILE_OUTPUTS}
            together = [
                self._file_output(kinds[name], files, image.name, len(planes), stack) for name in self._names(kinds)
            ]
            done = self._each(planes, image.name, together, clip, written, notice)
            for output in together:
                for path in output.finish():
                    written.append(path)  # one by one: the next may be refused
        stated = [each.pop("stated_channels") for each in done]
        facts = done[0] if len(planes) == 1 else merged(done)
        if clip is not None:
            facts |= clip.facts()
            notice(clip.speed())
        return facts | {"stated_channels": stated[0], "device": self.predictor.device}

    def _each(
        self,
        planes: Sequence[Files],
        name: str,
        together: Sequence[FileOutput],
        clip: ClipAccount | None,
        written: list[Path],
        notice: Notice,
    ) -> list[dict[str, Any]]:
        """Segment the planes of a file, and return what is to be recorded of each; of a clip damaged ones are left out.

        Raises:
            DataError: A plane cannot be used; of a clip, none can.
        """
        done: list[dict[str, Any]] = []
        refused: DataError | None = None
        for number, files in enumerate(planes, start=1):
            own = name if len(planes) == 1 else f"{name}/{number:04d}"
            before = len(written)
            try:
                done.append(self._segment(files, _Plane(own, number, together, clip), written, notice))
            except DataError as error:
                if clip is None:
                    raise
                _discard(written[before:])
                del written[before:]
                refused = refused or error
                clip.lose(number, error)
                for output in together:
                    output.skip(number)
            if clip is not None:
                clip.tell(number, notice)
        if refused is not None and not done:
            raise refused
        return done

    def _names(self, known: Iterable[str]) -> list[str]:
        return [name for name in chosen(self.options.outputs, otherwise=True) if name in known]

    def _file_output(
        self, kind: type[FileOutput], files: Files, name: str, planes: int, stack: ExitStack
    ) -> FileOutput:
        model = f"model {(self.card.weights_sha256 or 'not saved')[:16]}"
        target = partial(structure_file, self.out, name, self.card)
        return kind(_first(files), target, planes, model, stack)

    def _segment(self, files: Files, plane: _Plane, written: list[Path], notice: Notice) -> dict[str, Any]:
        """Write what is asked of one plane, hand its masks on, and return what is to be recorded but the files."""
        options, card, fill = self.options, self.card, self.options.fill_non_finite
        with open_image(
            files, channels=options.channels, axes=options.axes, fill_missing=options.fill_missing
        ) as opened:
            source, factor = at_model_scale(opened, card, policy=options.pixel_size, fill_non_finite=fill)
            view = self._view(source, plane.clip)
            strange: tuple[str, ...] = ()
            if plane.clip is None or plane.clip.is_looked_at(plane.number):
                strange = strangeness(self.predictor, view, card, size=source.pixel_size)
            target = Target(self.out, plane.name, card, (opened.shape[1], opened.shape[2]), opened.pixel_size)
            with BlockSegmenter(view.shape, card.structures, card.thresholds, folder=self.out) as segmenter:
                parts = _fed(segmenter, _told(self._parts(files, view, plane.clip, notice), view.shape, notice))
                if options.probabilities:
                    target.write_maps(parts, view.shape)
                    written.append(target.maps)
                deque(parts, maxlen=0)
                masks = {name: target.on_grid(mask) for name, mask in segmenter.finish().items()}
                segmented = Segmented(target, {each: masks[each.name] for each in card.structures}, opened, view)
                own = OUTPUTS if plane.clip is None else OUTPUTS.keys() - OF_CLIPS.keys()
                for name in self._names(own):
                    written += OUTPUTS[name](segmented)
                for output in plane.together:
                    output.add(segmented)
                if plane.clip is not None:
                    plane.clip.add(plane.number, masks)
        ranges = zip(view.low.tolist(), view.high.tolist(), strict=True)
        return {
            "structures": {name: _counted(mask) for name, mask in masks.items()},
            "empty": not any(mask.pixels for mask in masks.values()),
            "pixel_size": target.pixel_size,
            "scaled": factor,
            "unlike_training": list(strange),
            "range": dict(zip(card.channels, ranges, strict=True)),
            "stated_channels": list(stated_names(opened)),
        }

    def _view(self, source: Image | ImageSource, clip: ClipAccount | None) -> View:
        """Return what the network is shown of an image, or of a frame as of all frames of its clip."""
        card, fill = self.card, self.options.fill_non_finite
        if clip is None or clip.range is None:
            return view_of(source, card.channels, rule_from_json(card.normalisation), fill=fill)
        return View(source, card.channels, *clip.range, fill)

    def _parts(self, files: Files, view: View, clip: ClipAccount | None, notice: Notice) -> Iterator[Part]:
        if view.constant:
            return blank_maps(view.shape, outputs=len(self.card.outputs))
        if self.windows is not None:
            return self.windows(files, view, notice)
        run = self.predictor.run(notice)
        return run_windows(
            run if clip is None else clip.clock.timed(run),
            view,
            tile=side_of(self.options, self.predictor),
            halo=halo_of(self.card, self.options),
            stride=self.predictor.stride,
            batch=self.predictor.at_once,
        )


def strangeness(predictor: Predictor, view: View, card: ModelCard, *, size: float | None) -> tuple[str, ...]:
    """Return in what an image is unlike those that a model was trained on, in words; empty: in nothing.

    Args:
        predictor: The model's network. One that does not give its features is judged by the image's looks alone.
        view: The image as the network sees it.
        card: The model's.
        size: Of the view's pixels, micrometres; None: not known.
    """
    found = unlike_in_size(size, card)
    if card.familiar is None or view.constant:
        return found
    return (*found, *unlike(card.familiar, appearance(view, predictor.features)))


def halo_of(card: ModelCard, options: Options) -> int:
    """Return the border of a window, pixels: what was asked for, or the model's fast halo."""
    return fast_halo(card) if options.halo is None else options.halo


def side_of(options: Options, predictor: Predictor) -> int:
    """Return the side of a window, pixels: what was asked for, or what the network's grid wants."""
    return usual_side(predictor.stride) if options.tile is None else options.tile


def _counted(mask: Mask) -> dict[str, int | None]:
    """Return how many objects (None: not told apart) and pixels a mask has, and how many objects were dropped."""
    return {"objects": mask.objects, "pixels": mask.pixels, "dropped": mask.dropped}


def merged(planes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is to be recorded of a file of several planes from what is of each.

    Numbers of objects and pixels are added, what is unlike the training images is told once, and ranges reach from the
    lowest to the highest.
    """
    first = planes[0]
    channels = {name: [each["range"][name] for each in planes] for name in first["range"]}
    return {
        "planes": len(planes),
        "structures": {
            name: {
                what: None if number is None else sum(each["structures"][name][what] for each in planes)
                for what, number in numbers.items()
            }
            for name, numbers in first["structures"].items()
        },
        "empty": all(each["empty"] for each in planes),
        "pixel_size": first["pixel_size"],
        "scaled": first["scaled"],
        "unlike_training": list(dict.fromkeys(words for each in planes for words in each["unlike_training"])),
        "range": {
            name: (min(low for low, _ in ends), max(high for _, high in ends)) for name, ends in channels.items()
        },
    }


def _discard(paths: Iterable[Path]) -> None:
    """Remove what was written of an image that failed.

    Raises:
        EnvironmentFault: It cannot be removed.
    """
    for path in paths:
        try:
            remove(path)
        except OSError as error:
            raise EnvironmentFault(
                f"{path} is of an image that could not be segmented, and cannot be removed: {error.strerror}. Do so."
            ) from error


def _first(files: Files) -> Path:
    return files if isinstance(files, Path) else next(iter(files.values()))


def files_of_use(image: Input, channels: Sequence[str]) -> Files:
    """Return the image's file; or those of its files that a model with these channels looks at, or all if some lack."""
    if image.files is None:
        return image.path
    chosen = {name: path for name, path in image.files.items() if name in channels}
    return chosen if set(channels) <= {*chosen, BLANK} else image.files


def _fed(segmenter: BlockSegmenter, parts: Iterator[Part]) -> Iterator[Part]:
    """Yield the parts on, after the segmenter has had them."""
    for window, maps in parts:
        segmenter.add(window, maps)
        yield window, maps


def _told(parts: Iterator[Part], shape: tuple[int, int], notice: Notice) -> Iterator[Part]:
    """Yield the parts on, and tell now and then how much is done and how long the rest will take."""
    began = last = time.monotonic()
    done = 0
    for part in parts:
        yield part
        done += part[1][0].size
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            share = done / (shape[0] * shape[1])
            notice(f"{share:.0%} of its pixels, {time_left((now - began) / share * (1 - share))} left")
