"""Reading the small TOML file that describes a teacher on disk."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from segdistill.data.normalisation import FullRangeRule, PercentileRule, Rule
from segdistill.errors import DataError, nearest


class Description(BaseModel):
    """What every such file may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    licence: str = "unknown"
    """Licence of the weights or maps."""

    labels_seen: int | None = None
    """Labelled images that the teacher was fitted on; leave out if nobody knows."""

    pixel_size: float | None = None
    """Pixel size that it was made for, micrometres; leave out if it does not matter."""

    note: str = ""
    """What a reader of its results must know."""


D = TypeVar("D", bound=Description)


def read_description(path: Path, kind: type[D]) -> D:
    """Read and check a description; all problems are reported at once.

    Raises:
        DataError: The file is not TOML, or says something it must not, or lacks something.
    """
    try:
        return kind.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not TOML: {error}. Correct it.") from error
    except ValidationError as error:
        problems = "; ".join(_problem(entry["loc"], entry["type"], entry["msg"], kind) for entry in error.errors())
        raise DataError(f"{path} cannot be used: {problems}. It may hold: {', '.join(kind.model_fields)}.") from error


def _problem(where: tuple[int | str, ...], what: str, message: str, kind: type[Description]) -> str:
    name = ".".join(str(part) for part in where)
    if what == "extra_forbidden":
        return f"{name} is not known.{nearest(name, kind.model_fields)}"
    return f"{name}: {message}"


def rule_of(normalisation: tuple[float, float] | str) -> Rule:
    """Return the rule that a description names.

    Args:
        normalisation: "full-range", or the lower and the upper percentile.

    >>> rule_of("full-range")
    FullRangeRule()
    """
    if isinstance(normalisation, str):
        return FullRangeRule()
    lower, upper = normalisation
    return PercentileRule(lower=lower, upper=upper)
