"""Learning several teachers' features with one encoder, as a problem for the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from segdistill.augment import Jitter, jitter_intensity
from segdistill.engine import batch_indices, batch_slots, weighted_mean
from segdistill.errors import ConfigError
from segdistill.networks.projection import MaskedGenerator, Projection
from segdistill.networks.tokens import TokenEncoder
from segdistill.objectives.balancing import Balancing, DroppingBalancing, LearnedBalancing
from segdistill.objectives.features import FeatureTerm, feature_term
from segdistill.training.feature_account import Match, match_pictures, mean_cosine
from segdistill.training.pictures import Picture
from segdistill.training.stored_teacher import StoredTeacher, check_together

MASKED = "masked_generative"
"""The term whose head restores the teacher's tokens from the student's, most of which are hidden."""

_MASKS = 11
"""Sets the drawing of hidden tokens apart from every other that begins with the same numbers."""

Parts = dict[str, Float[Tensor, ""]]
Said = tuple[Float[Tensor, "b _ _ _"], dict[str, Tensor], dict[str, Tensor]]


class Agglomerated(nn.Module):
    """An encoder, the heads that it needs while it learns, and the balancing; only the encoder is kept."""

    def __init__(
        self, encoder: TokenEncoder, teachers: Mapping[str, int], terms: Sequence[str], balancing: Balancing
    ) -> None:
        """Make heads with weights drawn from torch's generator.

        Args:
            encoder: The student's.
            teachers: Label to the width of the tokens.
            terms: Names of the terms; they say which heads are needed.
            balancing: Its parameters, if it has any, are trained too.
        """
        super().__init__()
        self.encoder = encoder
        self.teachers = tuple(teachers)
        projected = any(name != MASKED and feature_term(name).projected for name in terms)
        widths = teachers.values()
        self.projections = nn.ModuleList(Projection(encoder.width, each) for each in widths if projected)
        self.generators = nn.ModuleList(MaskedGenerator(encoder.width, each) for each in widths if MASKED in terms)
        self.learned = balancing if isinstance(balancing, nn.Module) else None
        self.balancing = balancing

    def forward(self, image: Float[Tensor, "b c y x"], draws: Float[Tensor, "b 1 _ _"] | None = None) -> Said:
        """Return the student's tokens, and by teacher what its projection and its generator make of them.

        Args:
            image: The student's channels, 0…1.
            draws: Uniform from 0 to 1 per token, for the generators.
        """
        tokens = self.encoder(image)
        projected = {name: head(tokens) for name, head in zip(self.teachers, self.projections, strict=False)}
        restored = {name: head(tokens, draws) for name, head in zip(self.teachers, self.generators, strict=False)}
        return tokens, projected, restored

    def scalars(self) -> dict[str, float]:
        """Return the teachers' shares, for the log."""
        return self.balancing.scalars()


@dataclass(frozen=True, eq=False)
class Glance:
    """One sample of a step, still on the host."""

    picture: Picture
    slot: int
    tokens: Mapping[str, np.ndarray]
    """By teacher, ``d y x`` on the student's whole grid; zeros where it said nothing."""
    counts: Mapping[str, np.ndarray]
    """By teacher, ``y x``: 1 for tokens on the view, 0 beyond it and where the teacher said nothing."""


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """One micro-batch on the device."""

    image: Float[Tensor, "b c y x"]
    draws: Float[Tensor, "b 1 _ _"]
    tokens: Mapping[str, Tensor]
    counts: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """How an encoder is taught."""

    terms: tuple[str, ...]
    """What of a teacher's features is matched; their values are added."""

    batch_size: int
    """Views per optimiser step, over all processes."""

    weight_decay: float
    """Of matrices, per unit of learning rate, ≥ 0."""

    jitter: Jitter | None
    """Changes of the student's intensities, not of the teachers'; None leaves them alone."""

    seed: int
    """Of every draw."""


class AgglomeratingProblem:
    """The agglomeration as a ``Problem`` of the engine; it foresees the step where the balancing needs it.

    A teacher that said nothing of a view loses its own term there and nothing else.
    """

    def __init__(
        self,
        module: Agglomerated,
        teachers: Sequence[StoredTeacher],
        lessons: Lessons,
        *,
        training: Sequence[Picture],
        validation: Sequence[Picture],
    ) -> None:
        """Set up the streams.

        Args:
            module: Encoder, heads and balancing.
            teachers: In the order of the module's.
            lessons: How it is taught.
            training: Views to learn from; those of which no teacher said anything are left out.
            validation: Views to choose the best weights on; empty keeps the last.

        Raises:
            ConfigError: The teachers cannot teach together, or one said nothing of any training view.
        """
        check_together(teachers)
        for teacher in teachers:
            if not any(teacher.speaks_of(picture.key) for picture in training):
                raise ConfigError(
                    f"{teacher.store.folder} says nothing of any of the {len(training)} training views: it was filled"
                    f" with other images ({len(teacher.store)} records). Fill it with these, or leave out"
                    f" {teacher.label}."
                )
        self.module: nn.Module = module
        self.whole = module
        self.teachers = tuple(teachers)
        self.lessons = lessons
        self.training = [each for each in training if any(teacher.speaks_of(each.key) for teacher in teachers)]
        self.validation = list(validation)
        self.terms_by_name = {name: _term(name) for name in lessons.terms}
        self.needs_terms = sees_losses(module.balancing)
        self._step = 0
        self._seen: Parts = {}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the groups: weight decay on matrices of encoder and heads only, none on the balancing."""
        learned = [] if self.whole.learned is None else list(self.whole.learned.parameters())
        own = {id(parameter) for parameter in learned}
        rest = [p for p in self.whole.parameters() if id(p) not in own]
        return [
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": self.lessons.weight_decay},
            {"params": [*(p for p in rest if p.ndim <= 1), *learned], "weight_decay": 0.0},
        ]

    def batch(self, step: int, rank: int, world: int) -> list[Glance]:
        """Return this process's views of one step, with what each teacher said of them."""
        size, seed = self.lessons.batch_size, self.lessons.seed
        order = batch_indices(step, batch=size, length=len(self.training), seed=seed)
        return [self._glance(self.training[order[slot]], slot) for slot in batch_slots(size, rank=rank, world=world)]

    def _glance(self, picture: Picture, slot: int) -> Glance:
        stride = self.whole.encoder.stride
        side = picture.pixels.shape[1] // stride
        height, width = picture.cells
        tokens, counts = {}, {}
        for teacher in self.teachers:
            tokens[teacher.label] = grid = np.zeros((teacher.width, side, side), np.float32)
            counts[teacher.label] = counted = np.zeros((side, side), np.float32)
            if teacher.speaks_of(picture.key):
                grid[:, :height, :width] = teacher.tokens(picture.key, picture.cells)
                counted[:height, :width] = 1
        return Glance(picture, slot, tokens, counts)

    def collate(self, samples: list[Glance], step: int, device: torch.device) -> TokenBatch:
        """Return views on the device; every draw is a function of (seed, step, slot)."""
        image = torch.from_numpy(np.stack([glance.picture.pixels for glance in samples])).to(device)
        slots, seed = [glance.slot for glance in samples], self.lessons.seed
        if self.lessons.jitter is not None:
            image = jitter_intensity(image, seed=seed, step=step, slots=slots, ranges=self.lessons.jitter)
        side = image.shape[2] // self.whole.encoder.stride
        draws = [np.random.default_rng((seed, step, slot, _MASKS)).random((1, side, side)) for slot in slots]
        labels = [teacher.label for teacher in self.teachers]
        return TokenBatch(
            image,
            torch.from_numpy(np.stack(draws).astype(np.float32)).to(device),
            {name: torch.from_numpy(np.stack([each.tokens[name] for each in samples])).to(device) for name in labels},
            {name: torch.from_numpy(np.stack([each.counts[name] for each in samples])).to(device) for name in labels},
        )

    def weights(self, batch: TokenBatch) -> Parts:
        """Return the total weight of every teacher's every term in one micro-batch."""
        return {
            f"{label}.{name}": term.weigh(counts).sum()
            for label, counts in batch.counts.items()
            for name, term in self.terms_by_name.items()
        }

    def terms(self, module: nn.Module, batch: TokenBatch, totals: Parts) -> Parts:
        """Return this micro-batch's share of every teacher's every term."""
        tokens, projected, restored = module(batch.image, batch.draws)
        found = {}
        for label, counts in batch.counts.items():
            for name, term in self.terms_by_name.items():
                own = restored[label] if name == MASKED else projected[label] if term.projected else tokens
                value = term(own.float(), batch.tokens[label], counts)
                found[f"{label}.{name}"] = weighted_mean(value, term.weigh(counts), total=totals[f"{label}.{name}"])
        return found

    def foresee(self, step: int, totals: Parts, terms: Parts | None) -> None:
        """Note which teachers say something in the step, and, where the balancing asks, how well each is matched."""
        self._step = step
        values = terms or {name: torch.zeros_like(total) for name, total in totals.items()}
        spoken = [t.label for t in self.teachers if any(totals[f"{t.label}.{name}"] > 0 for name in self.terms_by_name)]
        self._seen = {label: loss for label, loss in self._losses(values).items() if label in spoken}

    def combine(self, module: nn.Module, terms: Parts, share: float) -> Tensor:  # noqa: ARG002 - the balancing is not wrapped
        """Return this micro-batch's share of the loss: the teachers' losses, weighed by the balancing."""
        return self.whole.balancing(self._losses(terms), self._seen, share, self._step)

    def _losses(self, terms: Parts) -> Parts:
        """Return one loss per teacher: its terms added."""
        return {
            teacher.label: torch.stack([terms[f"{teacher.label}.{name}"] for name in self.terms_by_name]).sum()
            for teacher in self.teachers
        }

    def names(self, samples: list[Glance]) -> list[str]:
        """Return the fields that the views are of."""
        return [glance.picture.name for glance in samples]

    def validate(self, module: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002
        """Return cosine and error by teacher on the validation views; the score is the mean cosine."""
        matches = self.matches()
        if not matches:
            return {}
        each = {f"cosine.{label}": match.cosine for label, match in matches.items()}
        errors = {f"error.{label}": match.error for label, match in matches.items()}
        return {**each, **errors, "score": mean_cosine(matches)}

    def matches(self) -> dict[str, Match]:
        """Return how well the heads say what each teacher says of the validation views; of teachers that did."""
        module = self.whole
        return match_pictures(self.teachers, self.validation, lambda picture: _say(module, picture))


def _say(module: Agglomerated, picture: Picture) -> dict[str, np.ndarray]:
    """Return what a network's heads make of a view, ``y x d`` by teacher; it must be in evaluation mode."""
    device = next(module.parameters()).device
    height, width = picture.cells
    with torch.inference_mode():
        _, projected, restored = module(torch.from_numpy(picture.pixels)[None].to(device))
    return {
        name: said[0, :, :height, :width].permute(1, 2, 0).float().cpu().numpy()
        for name, said in (projected or restored).items()
    }


def sees_losses(balancing: Balancing) -> bool:
    """Return whether a balancing's shares depend on how well teachers are matched in the step.

    Fixed shares need not know, and those of a query and keys depend on their own parameters alone.
    """
    if isinstance(balancing, LearnedBalancing):
        return balancing.scores_losses
    return isinstance(balancing, DroppingBalancing)


def _term(name: str) -> FeatureTerm:
    return feature_term("token_mse" if name == MASKED else name)
