"""Exporting a student: each format written, run again on real images, and kept only if it is as good."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segdistill.engine.machine import machine, versions
from segdistill.errors import EnvironmentFault, MissingExtra
from segdistill.export.bioimageio_file import Shared, shared_of
from segdistill.export.comparison import Case, Shown, Tiling, answered, compare, read_shown
from segdistill.export.formats import FORMATS, Format, Source
from segdistill.export.graph import INPUTS, OUTPUTS, Graph
from segdistill.export.onnx_file import OPSET
from segdistill.files import sha256_file, write_json
from segdistill.inference.eager import torch_predictor
from segdistill.inference.export_card import (
    EXPORT_FILE,
    Equality,
    ExportCard,
    ExportedFormat,
    is_exported,
    read_export,
)
from segdistill.inference.maps import stride_of
from segdistill.inference.windows import usual_side
from segdistill.networks.card import ModelCard
from segdistill.networks.model import load_model
from segdistill.settings.export import Export
from segdistill.settings.run_folder import open_run

MOST_LOST = 0.5
"""A format that loses more points (hundredths) of Dice or AP@0.5 is not kept."""

_MOST_COMPARED, _MOST_CALIBRATED = 16, 64
"""Images, at most."""

_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf")


@dataclass(frozen=True)
class Exported:
    """What became of an export."""

    card: ExportCard
    """What the folder holds."""

    made: tuple[str, ...]
    """Formats written now; the others were there."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Formats that are not kept, to the reason."""


def export(settings: Export, *, notice: Callable[[str], None]) -> Exported:
    """Write a student for other runtimes.

    A format that is there already, from the same student and images, is kept as it is; so is a package whose makers
    and licence are the same.

    Args:
        settings: What to export, where, and by which images it is judged.
        notice: Told what is done.

    Raises:
        ConfigError: Other settings began the folder, or no images are named.
        DataError: The folder is no model, or an image cannot be used.
    """
    model = load_model(settings.model)
    card = model.card
    shown = read_shown(settings.check or settings.calibration, card, most=_MOST_COMPARED, without=settings.out)
    calibration = (
        read_shown(settings.calibration, card, most=_MOST_CALIBRATED, without=settings.out)
        if settings.calibration
        else []
    )
    stride = stride_of(model.module)
    tiling = Tiling(tile=settings.tile or usual_side(stride), halo=card.halo["fast"], stride=stride)
    with open_run(settings.out, _identity(settings, card, shown, calibration, tiling), ignoring=frozenset({"formats"})):
        predictor = torch_predictor(model, "cpu", notice=notice)
        found = _known(settings.out, card, stride, shown, calibration)
        shared = Shared(settings.authors, settings.licence) if settings.licence else None
        missing = [name for name in settings.formats if not _is_there(settings.out, found, name, shared)]
        failed: dict[str, str] = {}
        if missing:
            notice(f"The student's answers on {len(shown)} images …")
            cases = [answered(predictor.run(notice), each, card, tiling) for each in shown]
            _tell_of_nothing(cases, card, notice)
            with tempfile.TemporaryDirectory() as scratch:
                source = Source(Graph(model.module).eval(), card, calibration, Path(scratch), shared)
                for name in missing:
                    notice(f"{name} …")
                    made = _made(settings.out, name, source, cases, tiling)
                    if isinstance(made, str):
                        failed[name] = made
                        _remove(settings.out, found, name)
                        continue
                    found = found.model_copy(update={"formats": {**found.formats, name: made}})
                    write_json(settings.out / EXPORT_FILE, found.model_dump(mode="json"))
    return Exported(found, tuple(name for name in missing if name not in failed), failed)


def _identity(
    settings: Export, card: ModelCard, shown: Sequence[Shown], calibration: Sequence[Shown], tiling: Tiling
) -> dict[str, Any]:
    """Return what decides the files: two calls that agree in it may share a folder."""
    return {
        "command": "export",
        "weights_sha256": card.weights_sha256,
        "thresholds": card.model_dump(mode="json")["thresholds"],
        "compared_on": _mark(shown),
        "calibrated_on": _mark(calibration),
        "tile": tiling.tile,
        "formats": list(settings.formats),
    }


def _tell_of_nothing(cases: Sequence[Case], card: ModelCard, notice: Callable[[str], None]) -> None:
    """Tell where the student finds nothing: then nothing is compared but how much nothing it is."""
    for structure in card.structures:
        if not any(case.masks[structure.name].any() for case in cases):
            notice(
                f"The student finds no {structure.name} in any of the {len(cases)} images, so they cannot show that"
                " masks are the same. Name images that have some with --check."
            )


def _mark(shown: Sequence[Shown]) -> str:
    """Return what tells one set of images from another, short enough for a message."""
    digest = hashlib.sha256(" ".join(each.sha256 for each in shown).encode()).hexdigest()
    return f"{len(shown)} images, {digest[:12]}"


def _known(out: Path, card: ModelCard, stride: int, shown: Sequence[Shown], calibration: Sequence[Shown]) -> ExportCard:
    """Return the folder's card, or a new one without formats."""
    if is_exported(out):
        return read_export(out)
    return ExportCard(
        model=card,
        stride=stride,
        inputs=INPUTS,
        outputs=OUTPUTS,
        opset=OPSET,
        compared_on=[each.sha256 for each in shown],
        calibrated_on=[each.sha256 for each in calibration],
        versions=versions(_PACKAGES),
        machine=machine(),
        formats={},
    )


def _is_there(out: Path, card: ExportCard, name: str, shared: Shared | None) -> bool:
    if name not in card.formats:
        return False
    kept = card.formats[name]
    if any(not (out / file).is_file() or sha256_file(out / file) != wanted for file, wanted in kept.files.items()):
        return False
    return name != "bioimageio" or shared_of(out / kept.opened) == shared


def _made(out: Path, name: str, source: Source, cases: Sequence[Case], tiling: Tiling) -> ExportedFormat | str:
    """Write a format and compare it; return what is to be kept of it, or why it is not."""
    kind = FORMATS[name]
    try:
        made_by = kind.write(out / kind.files[0], source)
        equality = compare(kind.load(out / kind.files[0]), cases, source.card, tiling)
    except (EnvironmentFault, MissingExtra) as error:
        return str(error)
    if equality.points_lost > MOST_LOST:
        return _too_far(name, equality)
    return ExportedFormat(opened=kind.files[0], files=_hashes(out, kind), made_by=made_by, equality=equality)


def _hashes(out: Path, kind: Format) -> dict[str, str]:
    return {file: sha256_file(out / file) for file in kind.files}


def _too_far(name: str, equality: Equality) -> str:
    scores = [f"Dice of {structure} {value:.4f}" for structure, value in equality.dice.items()]
    scores += [f"AP@0.5 of {structure} {value:.4f}" for structure, value in equality.average_precision.items()]
    advice = "Calibrate on more, or more typical, images." if name.endswith("int8") else "Use another format."
    return (
        f"{name} is not kept: against the student it loses {equality.points_lost:.2f} points, and at most {MOST_LOST}"
        f" are allowed ({', '.join(scores)}; probabilities differ by up to {equality.difference:.3g}). {advice}"
    )


def _remove(out: Path, card: ExportCard, name: str) -> None:
    """Remove a format's files, except those that are another's too."""
    kept = {file for each, facts in card.formats.items() if each != name for file in facts.files}
    for file in FORMATS[name].files:
        if file not in kept:
            (out / file).unlink(missing_ok=True)
