"""Making one student: one arm, one seed, one folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segdistill.augment import Jitter
from segdistill.data.labels import Structure, output_names
from segdistill.engine import Outcome, Plan, settle, train
from segdistill.inference.pooling import choose_pooling
from segdistill.inference.thresholds import tune_thresholds
from segdistill.networks.build import build_student
from segdistill.networks.card import Pooling
from segdistill.networks.describe import count_parameters
from segdistill.networks.last_layer import WithFeatures
from segdistill.networks.layer_rates import layer_factors
from segdistill.networks.model import load_model
from segdistill.networks.stain_head import WithStains
from segdistill.objectives.borders import boundary_term
from segdistill.objectives.distillation import check_anchored, check_exclusive, distillation_term
from segdistill.objectives.weighting import Weighting, build_weighting
from segdistill.settings import Arm, Optimisation, Protocol, Training
from segdistill.training.distilling import Distilling, Drawing, Taught
from segdistill.training.entries import Entry
from segdistill.training.objective import Objective, taught_outputs
from segdistill.training.validation import entry_view, judged, mean_dice

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """What decides a student besides its images and its seed."""

    arm: Arm
    """Which terms it learns from."""

    protocol: Protocol
    """What all arms share."""

    student: str
    """Name of the network."""

    structures: tuple[Structure, ...]
    """What it segments."""

    start: Path | None = None
    """Folder of the model whose weights it begins with. None: random weights."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A student that is done training."""

    network: nn.Module
    """The best weights, in evaluation mode, on the CPU, pooling as in use."""

    thresholds: dict[str, dict[str, float]]
    """Tuned on the validation fields."""

    outcome: Outcome
    """What the engine left."""

    parameters: dict[str, int]
    """``trained``: all that training changed, what was learnt beside the network too; ``kept``: of the network."""

    pooling: Pooling | None = None
    """How its squeeze-excite layers pool in use; None where it has none."""


def fit(
    folder: Path,
    recipe: Recipe,
    *,
    entries: tuple[Sequence[Entry], Sequence[Entry]],
    seed: int,
    device: str,
    notice: Notice,
) -> Fitted:
    """Train one student, or go on with it, and return it.

    Args:
        folder: For checkpoints and log.
        recipe: What is made.
        entries: Fields for training and for validation. Labels that the arm may not use are gone
            from the first; those with a target carry it.
        seed: Of the weights and of every draw.
        device: Where to train.
        notice: Told what happens.

    Raises:
        ConfigError: The arm's terms do not suit its labels, its teacher or its structures.
        TrainingStopped: The loss was not finite, or a signal came.
    """
    training, validation = entries
    arm, protocol, structures = recipe.arm, recipe.protocol, recipe.structures
    objective = make_objective(arm, structures, training)
    torch.manual_seed(seed)
    outputs = len(output_names(structures))
    network = build_student(
        recipe.student,
        channels=len(training[0].image),
        outputs=outputs + objective.stains,
        encoder_weights=protocol.encoder_weights,
    )
    if recipe.start is not None:
        network.load_state_dict(load_model(recipe.start).module.state_dict())
    rate = protocol.learning_rate or usual_learning_rate(recipe.student)
    factors = layer_factors(network, protocol.layer_decay)
    stained = WithStains(network, outputs) if objective.stains else network
    student = WithFeatures(stained) if objective.classes else stained
    taught = Taught(student, make_weighting(arm, objective.terms))
    trained = count_parameters(taught)
    problem = Distilling(
        taught,
        objective,
        training=training,
        validation=validation,
        drawing=make_drawing(
            protocol,
            crop=protocol.crop,
            seed=seed,
            labelled_share=protocol.labelled_share,
            dropped=len(arm.dropped_channels),
        ),
        weight_decay=protocol.weight_decay,
        rates={weight: rate * factor for weight, factor in factors.items()},
    )
    outcome = train(problem, folder, make_plan(protocol, learning_rate=rate, seed=seed, device=device), notice=notice)
    settle(folder)
    network = (stained.own() if isinstance(stained, WithStains) else network).cpu().eval()
    network, pooling = choose_pooling(
        network,
        [entry_view(entry) for entry in validation],
        outputs=outputs,
        crop=protocol.crop,
        score=lambda each: mean_dice(each, validation, structures, device="cpu").get("score"),
    )
    thresholds = tune_thresholds(judged(network, validation, structures, device="cpu"), structures)
    return Fitted(
        network, thresholds, outcome, {"trained": trained, "kept": count_parameters(network)}, pooling=pooling
    )


def make_objective(arm: Arm, structures: Sequence[Structure], training: Sequence[Entry]) -> Objective:
    """Return the arm's terms, refusing those that could not teach anything.

    Raises:
        ConfigError: See ``check_anchored`` and ``check_exclusive``.
    """
    labels = any(entry.labelled for entry in training)
    told = next((tuple(entry.target) for entry in training if entry.target), ())
    taught = taught_outputs(structures, told)
    terms = [arm.distillation] if arm.teacher is not None else []
    check_exclusive(terms, exclusive=False)
    check_anchored(terms, labels)
    return Objective(
        tuple(structures),
        taught,
        labels,
        distillation_term(arm.distillation, temperature=arm.temperature) if terms else None,
        boundary_term(arm.boundary),
        len(arm.predicted_channels),
    )


def make_weighting(arm: Arm, terms: Sequence[str]) -> Weighting:
    """Return how an arm's terms are weighed; a weight of a term that its images do not let it have is void.

    Args:
        arm: Which.
        terms: Names of the terms that are on.
    """
    given = {name: weight for name, weight in arm.weights.given.items() if name in terms}
    return build_weighting(arm.weighting, terms, weights=given)


def make_drawing(protocol: Training, *, crop: int, seed: int, labelled_share: float = 1.0, dropped: int = 0) -> Drawing:
    """Return how batches are drawn; ``dropped`` of the last channels are left blank at random."""
    return Drawing(
        seed=seed,
        batch_size=protocol.batch_size,
        labelled_share=labelled_share,
        crop=crop,
        scale=protocol.scale,
        flips=protocol.flips,
        turns=protocol.turns,
        jitter=jitter_of(protocol.intensity),
        dropped=dropped,
    )


def jitter_of(strength: float) -> Jitter | None:
    """Return changes of intensity of this strength; 0.2 is what ``Jitter`` describes as usual.

    >>> jitter_of(0.0) is None
    True
    """
    if strength == 0:
        return None
    keep = max(1 - strength, 0.05)
    return Jitter(
        gain=(keep, 1 / keep),
        offset=(-strength / 4, strength / 4),
        gamma=(keep**1.5, keep**-1.5),
        noise=(0.0, 0.15 * strength),
    )


def make_plan(protocol: Optimisation, *, learning_rate: float, seed: int, device: str) -> Plan:
    """Return the engine's plan of a protocol; of the device, such as "cuda:0", its kind alone counts."""
    every = max(1, protocol.steps // protocol.validations)
    return Plan(
        steps=protocol.steps,
        batch_size=protocol.batch_size,
        micro_batch=protocol.micro_batch or protocol.batch_size,
        learning_rate=learning_rate,
        warmup=protocol.warmup,
        clip=protocol.clip,
        ema=protocol.ema,
        precision=protocol.precision,
        device=torch.device(device).type,  # pyright: ignore[reportArgumentType]  (which GPU is the process's own affair)
        seed=seed,
        validate_every=every,
        checkpoint_every=min(200, max(1, protocol.steps // 5)),
        log_every=max(1, min(10, protocol.steps // 50)),
    )


def usual_learning_rate(student: str) -> float:
    """Return the peak learning rate for a student: transformers take a smaller one.

    Source:
        arXiv:2606.00928 trains with AdamW; the two rates are ours (docs/science.md).

    >>> usual_learning_rate("unet-resnet18"), usual_learning_rate("unet-swin-tiny")
    (0.001, 0.0003)
    """
    return 3e-4 if any(kind in student for kind in ("swin", "vit", "deit", "mit_")) else 1e-3
