"""Settings of `segdistill agglomerate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.source import Fraction, Source
from segdistill.settings.teacher import Precision, refuse_void
from segdistill.settings.tokens import TokenViews
from segdistill.settings.training import Optimisation

Term = Literal[
    "token_mse",
    "token_cosine",
    "token_smooth_l1",
    "token_cosine_smooth_l1",
    "hidden_mse",
    "masked_generative",
    "gram",
    "pairwise",
    "attention_map",
]


def _by_text(sizes: Any) -> Any:
    """Return numbers as the text that a command line would hold."""
    return {name: str(side) for name, side in sizes.items()} if isinstance(sizes, Mapping) else sizes


def _sides(sizes: dict[str, str]) -> dict[str, str]:
    """Refuse what is no side of a square; the command line has no dictionaries of anything but plain text."""
    wrong = [side for side in sizes.values() if not (side.isascii() and side.isdigit() and int(side))]
    if wrong:
        raise ValueError(f"sizes are whole numbers of pixels from 1, but {', '.join(map(repr, wrong))} is none")
    return sizes


_RELATIONS = frozenset({"gram", "pairwise", "attention_map"})
_LEARNT = frozenset({"mlp", "attention"})


class Agglomerating(Optimisation):
    """How the encoder is trained.

    Source:
        arXiv:2504.02351: AdamW, 1e-3, weight decay 0.01, a cosine, gradients clipped at 5.
    """

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Peak of the learning rate."""

    clip: Annotated[float, Field(gt=0)] | None = 5.0
    """Largest norm of the gradient. None does not clip."""

    size: Annotated[int, Field(ge=32)] = 256
    """Side of the square that the encoder is shown, pixels, a multiple of its stride: the longer side of an image, or
    of a part of it, becomes this."""


class Balance(Settings):
    """How much each of several teachers counts."""

    balancing: Literal["uniform", "fixed", "dropping", "mlp", "attention"] = "uniform"
    """All alike; in fixed proportion; equally, but each except the worst matched left out by chance in half of the
    steps; or as a small network, or a learnt query and keys, say."""

    shares: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """With balancing fixed: how much each teacher counts, in the order of teachers; only ratios matter."""

    floor: Fraction | None = None
    """With balancing mlp or attention: part of the whole that is shared out evenly whatever is learnt. None is 0.5. As
    the paper prints them, with floor 0 and entropy 0, they drift to the teacher that is matched best."""

    entropy: Annotated[float, Field(ge=0)] | None = None
    """With balancing mlp or attention: reward for spreading the shares, unit of the losses per nat. None is 1."""


class Agglomerate(Balance, TokenViews, Source):
    """Make one light encoder of several frozen ones; students begin with it."""

    teachers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of teachers with features: hf:FOLDER, sam-vit-b, model:FOLDER; `segdistill teachers` lists them."""

    teacher_channels: tuple[str, ...]
    """Channels that the teachers see, by name."""

    teacher_weights: dict[str, str] = Field(default_factory=dict)
    """File or folder of weights by the name of the teacher, for those whose names do not say it, as medsam; or for a
    published SAM a repository of the Hugging Face hub that lies in its local cache, as OWNER/NAME."""

    teacher_sizes: Annotated[dict[str, str], BeforeValidator(_by_text), AfterValidator(_sides)] = Field(
        default_factory=dict
    )
    """Side of the square that a SAM or a vision encoder sees, by the name of the teacher: pixels, a multiple of its
    patch. Those not named see the side that they were made for."""

    teacher_precisions: dict[str, Precision] = Field(default_factory=dict)
    """Number format in which a SAM or a vision encoder computes, by the name of the teacher: float32, or bfloat16,
    which is faster where the device has it, and coarser. Those not named compute in float32."""

    student: str
    """The network whose encoder is trained: a student's name, or that of a timm encoder; `segdistill models` lists
    them."""

    student_channels: Annotated[tuple[str, ...], Field(min_length=1)]
    """Channels that the student sees, by name."""

    out: Path
    """Run folder. New, or one that the same settings began: then the run goes on."""

    targets: Path | None = None
    """Folder that `segdistill targets --tokens` wrote, with the same views; what is missing there is made there. None
    makes all in the run folder."""

    standardisation: Literal["none", "channel", "phi-s"] = "phi-s"
    """How a teacher's features are brought to one scale before they are matched: not at all; each channel by itself; or
    by a rotation after which all channels vary alike (PHI-S)."""

    terms: Annotated[tuple[Term, ...], Field(min_length=1)] = ("token_mse",)
    """What of a teacher's features is matched; several are added up."""

    probe: bool = False
    """Fit a linear map from frozen features to the labels of training images, and print its Dice on test images: of
    every teacher, of the same network with random weights, and of the encoder before and after."""

    protocol: Agglomerating = Agglomerating()
    """How the encoder is trained."""

    seed: int = 0
    """Of first weights and of every draw."""

    device: str = "auto"
    """cpu, cuda, mps, or auto for the best there is."""

    @model_validator(mode="after")
    def _nothing_is_void(self) -> "Agglomerate":
        for what, names in (("teachers", self.teachers), ("terms", self.terms)):
            if len(set(names)) < len(names):
                raise ValueError(f"{what} names one twice: {', '.join(names)}")
        for what in ("teacher_weights", "teacher_sizes", "teacher_precisions"):
            strange = sorted(set(getattr(self, what)) - set(self.teachers))
            if strange:
                raise ValueError(f"{what} names {', '.join(strange)}, which is none of the teachers")
        if set(self.terms) <= _RELATIONS:
            raise ValueError(
                f"terms names {', '.join(self.terms)} alone, which compares how tokens relate and leaves open what they"
                " say. Add token_mse"
            )
        return self

    @model_validator(mode="after")
    def _balances_as_it_says(self) -> "Agglomerate":
        if (self.shares is not None) != (self.balancing == "fixed"):
            raise ValueError("shares belongs to balancing fixed, which needs it; another balancing has none")
        if self.shares is not None and len(self.shares) != len(self.teachers):
            raise ValueError(f"shares has {len(self.shares)} numbers, but there are {len(self.teachers)} teachers")
        given = [name for name in ("floor", "entropy") if getattr(self, name) is not None]
        if given and self.balancing not in _LEARNT:
            raise ValueError(f"{', '.join(given)} is void with balancing {self.balancing}, which learns no shares")
        return self

    @model_validator(mode="after")
    def _computes_as_they_can(self) -> "Agglomerate":
        for name in self.teachers:
            refuse_void(name, None, size=self.sizes.get(name), precision=self.precision_of(name), prefix="teacher_")
        return self

    @property
    def sizes(self) -> Mapping[str, int]:
        """Side of the square that a teacher sees, pixels, by name, for those that see another than their own."""
        return {name: int(side) for name, side in self.teacher_sizes.items()}

    def precision_of(self, teacher: str) -> Precision:
        """Return the number format in which a teacher computes."""
        return self.teacher_precisions.get(teacher, "float32")

    @property
    def weights(self) -> Mapping[str, Path]:
        """Where the weights of teachers are, by name, for those whose names do not say it."""
        return {name: Path(path) for name, path in self.teacher_weights.items()}
