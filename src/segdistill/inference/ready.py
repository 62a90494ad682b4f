"""A model made ready to predict, whatever runs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segdistill import inference
from segdistill.errors import ConfigError
from segdistill.inference.backends import fastest, open_backend, refuse_other_devices
from segdistill.inference.export_card import is_exported, read_export
from segdistill.inference.options import Options
from segdistill.inference.predictor import Notice, Predictor
from segdistill.inference.windows import usual_side
from segdistill.networks.card import ModelCard

if TYPE_CHECKING:
    from segdistill.networks.model import Model

TORCH = "torch"
"""Name of what runs a student that was not exported."""


@dataclass(frozen=True, eq=False)
class Ready:
    """A model that is ready."""

    predictor: Predictor
    """Computes."""

    card: ModelCard
    """The student's."""

    weights_sha256: str
    """Of the student's weights."""

    backend: str | None = None
    """Which format of an exported model computes; None: PyTorch does."""

    backend_sha256: str | None = None
    """Of that format's files."""


def make_ready(
    model: "Model | Path", options: Options, *, notice: Notice, before: str | None = None, threads: int | None = None
) -> Ready:
    """Return a model that is ready to predict.

    Note [PyTorch when it is needed]: an exported model predicts without importing torch, so what does import it is
    reached through this package's lazy names.

    Args:
        model: A student, its folder, or the folder of an exported one.
        options: ``device`` and ``backend`` are looked at.
        notice: Told what computes, where there was a choice.
        before: The backend that an earlier call chose for the same masks. None: there was none.
        threads: How many this whole process computes with, for one that shares a machine with others and whose backend
            is named. None leaves it as it is.

    Raises:
        DataError: The folder holds no model, or a damaged one.
        ConfigError: A student that was not exported has no such backend.
        UnknownName: Nor has an exported one.
        EnvironmentFault: The device does not work.
    """
    if not isinstance(model, Path) or not is_exported(model):
        return _with_torch(model, options, notice, threads)
    refuse_other_devices(options.device)
    card = read_export(model)
    name = options.backend or before
    if name is None:
        name, predictor = fastest(model, card, tile=options.tile or usual_side(card.stride), notice=notice)
    else:
        predictor = open_backend(model, card, name, threads=threads)
    files = " ".join(card.formats[name].files.values())
    return Ready(predictor, card.model, card.model.weights_sha256 or "", name, files)


def _with_torch(model: "Model | Path", options: Options, notice: Notice, threads: int | None) -> Ready:
    if options.backend not in {None, TORCH}:
        raise ConfigError(
            f"--backend {options.backend} runs an exported model, but {model if isinstance(model, Path) else 'this'} is"
            " a student's own. Run segdistill export first, and give its folder."
        )
    if threads is not None:
        inference.set_threads(threads)
    loaded = inference.load_model(model) if isinstance(model, Path) else model
    predictor = inference.torch_predictor(loaded, options.device, notice=notice)
    return Ready(predictor, loaded.card, inference.weights_hash(loaded))
