"""Segmenting files: each mask whole or absent, nothing done twice, nothing lost silently."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segdistill.data.image import Image, ImageSource
from segdistill.data.normalisation import measure_range, rule_from_json
from segdistill.data.readers import open_image
from segdistill.data.rescale import TOLERANCE, nearest, resized
from segdistill.data.writers import write_labels, write_labels_tiled, write_probabilities, write_probabilities_tiled
from segdistill.errors import DataError
from segdistill.files import append_line, neutral_cell, sha256_file, whole_file
from segdistill.inference.blocks import segment_large
from segdistill.inference.inputs import Input, find_inputs, fingerprint
from segdistill.inference.instances import segment
from segdistill.inference.windows import View, predict_maps, stream_maps
from segdistill.networks.model import Model

RECORDS = "predictions.jsonl"
FAILED = "failed.csv"
WHOLE = 4096 * 4096
"""Images of at most so many pixels are segmented in one piece."""

Notice = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How images are segmented."""

    channels: tuple[str, ...] | None = None
    axes: str | None = None
    tile: int = 512
    halo: int | None = None
    """Pixels; None takes the model's fast halo."""
    probabilities: bool = False
    resample: bool = False
    """Whether images of another pixel size are brought to the model's; otherwise they are refused."""
    any_pixel_size: bool = False
    """Whether the pixel size is not looked at."""
    fill_non_finite: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Summary:
    """What became of the images."""

    done: tuple[str, ...]
    """Names segmented now."""

    skipped: tuple[str, ...]
    """Names whose complete masks were there already."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Path of an image to the reason; also in failed.csv."""


def predict_files(
    model: Model, images: Sequence[Path], out: Path, *, options: Options, notice: Notice = lambda _: None
) -> Summary:
    """Segment images into a folder.

    Args:
        model: The student.
        images: Files and folders.
        out: For the masks. What an earlier run with the same model completed is not done again.
        options: How.
        notice: Told one line per image.

    Returns:
        What was done. An image that cannot be used does not stop the others.

    Raises:
        DataError: There is no image.
        EnvironmentFault: The masks cannot be written.
    """
    inputs = find_inputs(images)
    before = _read_records(out / RECORDS)
    network = model.module.to(options.device).eval()
    done, skipped, failed = [], [], {}
    for number, image in enumerate(inputs, start=1):
        place = f"[{number}/{len(inputs)}] {image.name}"
        try:
            identity = fingerprint(image.path)
            if _complete(before.get(image.name), identity, out):
                skipped.append(image.name)
                notice(f"{place}: done before")
                continue
            record = _predict_one(network, model, image, out, options)
        except DataError as error:
            failed[str(image.path)] = str(error)
            notice(f"{place}: failed. {error}")
            continue
        append_line(out / RECORDS, json.dumps({"name": image.name, "image": identity, **record}, sort_keys=True))
        done.append(image.name)
        notice(f"{place}: {_counted(record)}")
    _write_failed(out / FAILED, failed)
    return Summary(tuple(done), tuple(skipped), failed)


def _predict_one(network: torch.nn.Module, model: Model, image: Input, out: Path, options: Options) -> dict[str, Any]:
    with open_image(image.path, channels=options.channels, axes=options.axes) as opened:
        source, factor = _at_model_pixel_size(opened, model, options)
        rule = rule_from_json(model.card.normalisation)
        names = model.card.channels
        low, high = measure_range(source, rule, names=names, ignore_non_finite=options.fill_non_finite)
        view = View(source, names, low, high, fill=options.fill_non_finite)
        small = view.shape[0] * view.shape[1] <= WHOLE
        work = _segment_whole if small else _segment_large
        shape = (opened.shape[1], opened.shape[2])
        counts, files = work(network, model, view, _Target(out, image.name, shape, opened.pixel_size), options)
    return {
        "objects": counts,
        "empty": not any(counts.values()),
        "resampled": None if factor == 1 else factor,
        "files": {str(path.relative_to(out)): sha256_file(path) for path in files},
    }


@dataclass(frozen=True)
class _Target:
    """Where one image's masks go, and of what size they are."""

    out: Path
    name: str
    shape: tuple[int, int]
    pixel_size: float | None

    def mask(self, structure: str, *, alone: bool) -> Path:
        """Return the file of a structure's mask; several structures have a folder each."""
        return (self.out if alone else self.out / structure) / f"{self.name}.tif"

    @property
    def probabilities(self) -> Path:
        """The file of the probability maps."""
        return self.out / f"{self.name}.probabilities.ome.tif"


def _segment_whole(
    network: torch.nn.Module, model: Model, view: View, target: _Target, options: Options
) -> tuple[dict[str, int], list[Path]]:
    card = model.card
    maps = predict_maps(
        network, view, outputs=len(card.outputs), tile=options.tile, halo=_halo(model, options), device=options.device
    )
    masks = segment(maps, card.structures, card.thresholds)
    files, counts = [], {}
    for name, mask in masks.items():
        path = target.mask(name, alone=len(masks) == 1)
        on_image = mask if mask.shape == target.shape else nearest(mask[None], target.shape)[0]
        write_labels(path, on_image, pixel_size=target.pixel_size)
        files.append(path)
        counts[name] = int(mask.max(initial=0))
    if options.probabilities:
        on_image = maps if maps.shape[1:] == target.shape else resized(maps, target.shape)
        write_probabilities(target.probabilities, on_image, card.outputs, pixel_size=target.pixel_size)
        files.append(target.probabilities)
    return counts, files


def _segment_large(
    network: torch.nn.Module, model: Model, view: View, target: _Target, options: Options
) -> tuple[dict[str, int], list[Path]]:
    """Segment an image in bands, one structure after the other, so that memory is bounded."""
    card, files, counts = model.card, [], {}
    halo = _halo(model, options)

    def maps(window: tuple[slice, slice]) -> np.ndarray:
        return predict_maps(
            network,
            replace(view, window=window),
            outputs=len(card.outputs),
            tile=options.tile,
            halo=halo,
            device=options.device,
        )

    for structure in card.structures:
        path = target.mask(structure.name, alone=len(card.structures) == 1)
        bands = _counted_bands(
            segment_large(maps, view.shape, card.structures, card.thresholds), structure.name, counts
        )
        write_labels_tiled(path, target.shape, bands, pixel_size=target.pixel_size)
        files.append(path)
    if options.probabilities:
        blocks = stream_maps(network, view, tile=options.tile, halo=halo, device=options.device, batch=1)
        write_probabilities_tiled(
            target.probabilities, target.shape, blocks, card.outputs, pixel_size=target.pixel_size
        )
        files.append(target.probabilities)
    return counts, files


def _counted_bands(
    bands: Iterator[dict[str, np.ndarray]], structure: str, counts: dict[str, int]
) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    top, counts[structure] = 0, 0
    for band in bands:
        mask = band[structure]
        counts[structure] = max(counts[structure], int(mask.max(initial=0)))
        if len(mask):
            yield (slice(top, top + len(mask)), slice(0, mask.shape[1])), mask
        top += len(mask)


def _halo(model: Model, options: Options) -> int:
    return model.card.halo["fast"] if options.halo is None else options.halo


def _at_model_pixel_size(source: ImageSource, model: Model, options: Options) -> tuple[ImageSource | Image, float]:
    """Return the image at the model's pixel size, and the factor by which its grid was scaled.

    Raises:
        DataError: The pixel sizes differ and the image may not, or is too large to, be resampled.
    """
    wanted, found = model.card.pixel_size, source.pixel_size
    if options.any_pixel_size or wanted is None or found is None or abs(found / wanted - 1) < TOLERANCE:
        return source, 1.0
    if not options.resample:
        if abs(found / wanted - 1) <= 0.1:
            return source, 1.0
        raise DataError(
            f"{source.source} has pixels of {found:g} µm, but the model was trained at {wanted:g} µm."
            " Use --pixel-size resample to bring the image to it, or --pixel-size ignore to segment it as it is."
        )
    factor = found / wanted
    height, width = (max(1, round(side * factor)) for side in source.shape[1:])
    if max(height * width, source.shape[1] * source.shape[2]) > WHOLE:
        raise DataError(
            f"{source.source} is too large to be resampled from {found:g} to {wanted:g} µm in one piece"
            f" ({source.shape[1]} × {source.shape[2]} pixels). Save it at that pixel size, or use --pixel-size ignore."
        )
    return Image(resized(source.read(), (height, width)), source.channels, wanted, source.source), factor


def _read_records(path: Path) -> dict[str, dict[str, Any]]:
    """Return the records of earlier runs by name; a torn last line is passed over."""
    records: dict[str, dict[str, Any]] = {}
    if not path.exists():
        return records
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        records[record["name"]] = record
    return records


def _complete(record: Mapping[str, Any] | None, identity: str, out: Path) -> bool:
    """Return whether an image was segmented before and its masks are still what was written."""
    if record is None or record["image"] != identity:
        return False
    return all((out / name).is_file() and sha256_file(out / name) == sha for name, sha in record["files"].items())


def _counted(record: Mapping[str, Any]) -> str:
    if record["empty"]:
        return "empty"
    return ", ".join(f"{count:,} {name}" for name, count in record["objects"].items())


def _write_failed(path: Path, failed: Mapping[str, str]) -> None:
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "reason"])
        writer.writerows([neutral_cell(image), neutral_cell(reason)] for image, reason in failed.items())
