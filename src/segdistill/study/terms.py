"""Which terms an arm learns from: refused before anything is computed where they cannot teach, and said in words."""

from collections.abc import Iterable

from segdistill.errors import ConfigError
from segdistill.objectives import boundary_term, check_anchored, distillation_term
from segdistill.settings import Arm
from segdistill.training.fit import make_weighting


def check_terms(arms: Iterable[Arm]) -> None:
    """Refuse arms without labels whose term between student and teacher cannot say where to cut.

    Raises:
        ConfigError: Such an arm is there; it is named.
    """
    for arm in arms:
        try:
            check_anchored([] if arm.teacher is None else [arm.distillation], labels=arm.labels != 0)
        except ConfigError as error:
            raise ConfigError(f"Arm {arm.name}: {error}") from error


def terms_in_words(arm: Arm) -> str:
    """Return what a student of an arm learns from, and how that is weighed.

    >>> terms_in_words(Arm(name="student", role="student", teacher="teacher"))
    'labels; distillation by probability_mse; boundary by gradient_3; weights learnt by uncertainty'
    >>> terms_in_words(Arm(name="baseline", role="baseline", boundary="surface_distance", weighting="fixed"))
    'labels; boundary by surface_distance; weights fixed: labels 1, surface_distance 0.01'
    """
    border = boundary_term(arm.boundary)
    terms = {} if arm.labels == 0 else {"labels": "labels"}
    if arm.teacher is not None:
        terms["distillation"] = f"distillation by {arm.distillation}{_at_temperature(arm)}"
    if border is not None:
        terms[border.name] = f"boundary by {arm.boundary}"
    if arm.predicted_channels:
        terms["stains"] = f"stains {', '.join(arm.predicted_channels)}"
    return "; ".join([*terms.values(), f"weights {_weighing(arm, list(terms))}"])


def _at_temperature(arm: Arm) -> str:
    temperature = distillation_term(arm.distillation, temperature=arm.temperature).temperature
    return "" if temperature is None else f" at temperature {temperature:g}"


def _weighing(arm: Arm, terms: list[str]) -> str:
    if arm.weighting != "fixed":
        return {"uncertainty": "learnt by uncertainty", "bounded": "learnt by uncertainty, bounded"}[arm.weighting]
    used = make_weighting(arm, terms).scalars()
    return "fixed: " + ", ".join(f"{name.removeprefix('w_')} {weight:g}" for name, weight in used.items())
