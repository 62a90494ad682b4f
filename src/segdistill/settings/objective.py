"""Settings of the objective: which terms a student learns from beside the one on labels, and how they are weighed."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from segdistill.settings.base import Settings

Distilled = Literal["probability_mse", "binary_kl", "soft_dice", "channel_kl", "dist_intra", "prototype_matching"]
"""Names of terms between student and teacher, of ``objectives.DISTILLATION``: those for outputs that do not exclude
each other, as all students have them."""

SOFTENED = frozenset({"binary_kl", "channel_kl", "prototype_matching"})
"""Those of them that have a temperature."""


def _in_words(value: Any) -> Any:
    """Return the name of what plans and records said in yes and no before there were several terms."""
    return {True: "gradient_3", False: "none"}[value] if isinstance(value, bool) else value


Boundary = Annotated[Literal["gradient_3", "gradient_5", "surface_distance", "none"], BeforeValidator(_in_words)]
"""Names of terms on borders, of ``objectives.BOUNDARY``, or none."""

Weighed = Literal["uncertainty", "bounded", "fixed"]
Weight = Annotated[float, Field(gt=0)] | None
Temperature = Annotated[float, Field(gt=0)] | None


class Weights(Settings):
    """Fixed weights of the terms, no unit. None is the usual one: 1, and 0.01 for the surface distance."""

    labels: Weight = None
    """Of cross-entropy and Dice on the labels."""

    distillation: Weight = None
    """Of the term between student and teacher."""

    boundary: Weight = None
    """Of the boundary term, where that compares soft borders."""

    surface_distance: Weight = None
    """Of the boundary term, where that is the distance to the label's border, in pixels."""

    stains: Weight = None
    """Of the prediction of missing channels, in arms of a study that have it."""

    @property
    def given(self) -> Mapping[str, float]:
        """The weights that are not the usual ones, by term."""
        return {name: value for name, value in self if value is not None}

    def beside(self, boundary: str) -> "Weights":
        """Return these weights without that of a boundary term that is not this one.

        >>> dict(Weights(labels=2.0, boundary=3.0).beside("none").given)
        {'labels': 2.0}
        """
        own = {"gradient_3": "boundary", "gradient_5": "boundary", "surface_distance": "surface_distance"}.get(boundary)
        return self.model_copy(update=dict.fromkeys({"boundary", "surface_distance"} - {own}))


class ObjectiveTerms(Settings):
    """Which terms a student learns from beside the one on labels, and how they are weighed."""

    distillation: Distilled = "probability_mse"
    """The term between student and teacher. channel_kl and dist_intra say nothing of the level of probabilities and
    need labels beside them; prototype_matching compares features, too, which the teacher must have (a rival, after
    ProtoKD)."""

    temperature: Temperature = None
    """Divides the logits of both in binary_kl, channel_kl and prototype_matching. None is the term's own: 2, and 4 for
    channel_kl."""

    boundary: Boundary = "gradient_3"
    """The term on borders, of labels or, where there are none, of the teacher's maps: gradient_3 and gradient_5 compare
    soft borders in windows of 3 or 5 pixels; surface_distance weighs probabilities by their distance to the border, and
    needs fixed weighting, since it can be negative; none."""

    weighting: Weighed = "uncertainty"
    """How the terms are weighed: by uncertainties that are learnt, in the bounded form of that, or by fixed weights."""

    weights: Weights = Weights()
    """The weights, with weighting fixed."""

    @model_validator(mode="after")
    def _nothing_is_void(self) -> "ObjectiveTerms":
        if self.temperature is not None and self.distillation not in SOFTENED:
            raise ValueError(
                f"temperature is {self.temperature:g}, but {self.distillation} has none. Leave it out, or choose one of"
                f" {', '.join(sorted(SOFTENED))}"
            )
        if self.weights.given and self.weighting != "fixed":
            raise ValueError(
                f"weights are given for {', '.join(self.weights.given)}, but with weighting {self.weighting} they are"
                " learnt. Leave them out, or choose weighting fixed: --objective.weighting fixed"
            )
        if self.boundary == "surface_distance" and self.weighting != "fixed":
            raise ValueError(
                f"boundary surface_distance can be negative, so with weighting {self.weighting} its weight would grow"
                " to its limit. Choose weighting fixed: --objective.weighting fixed"
            )
        absent = sorted(self.weights.given.keys() - self.weights.beside(self.boundary).given.keys())
        if absent:
            raise ValueError(f"weights.{absent[0]} is void with boundary {self.boundary}: there is no such term")
        return self

    def untaught(self) -> "ObjectiveTerms":
        """Return these terms for an arm without a teacher, which has none between the two."""
        return self.model_copy(
            update={
                "distillation": ObjectiveTerms.model_fields["distillation"].default,
                "temperature": None,
                "weights": self.weights.model_copy(update={"distillation": None}),
            }
        )
