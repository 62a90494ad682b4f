"""Settings that say where images are, how they are read and how they are divided."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.private import hide_places

_PARTS = ("images", "labels", "field_of_view", "ignore")
"""Folders of a data set, in which nothing is written."""

Fraction = Annotated[float, Field(ge=0, le=1)]


def _by_text(names: Any) -> Any:
    """Return numbers as the text that a settings file or a command line would hold."""
    return {str(value): name for value, name in names.items()} if isinstance(names, Mapping) else names


def _by_number(names: dict[str, str]) -> dict[str, str]:
    wrong = [value for value in names if not (value.isascii() and value.isdigit() and int(value))]
    if wrong:
        raise ValueError(f"names belong to whole numbers from 1, but {', '.join(map(repr, wrong))} is none")
    return names


ValueNames = Annotated[dict[str, str], BeforeValidator(_by_text), AfterValidator(_by_number)]
"""Structure by class number or bit value of label images, as text."""


class Reading(Settings):
    """How the files of a data set are read."""

    channels: tuple[str, ...] | None = None
    """Names of the files' channels, in file order, where the files do not name them. Of a file that does, they replace
    other names, which is told; a file that has one of these names at another place is refused."""

    axes: str | None = None
    """Order of the axes in the files, such as cyx, where the files do not say."""

    pattern: str | None = None
    """How one file per channel is named, such as {name}_{channel}.tif."""

    fill_missing: bool = False
    """Take tiles or chunks of which a file stores nothing for empty, as programs leave them out. Else refuse them."""

    nan: Literal["refuse", "fill"] = "refuse"
    """What to do with pixels that are not numbers: refuse the image, or take their channel's lowest value."""

    label_kind: Literal["instances", "binary", "classes", "bits"] | None = None
    """What the values of label images mean, where it cannot be seen from them."""

    structure: str = "cell"
    """Name of what is labelled, where labels/ has no sub-folder that names it."""

    value_names: ValueNames | None = None
    """Names of classes or bits by their number in the label images, as 1 = "liver". None names those found."""

    @property
    def names_of_values(self) -> dict[int, str] | None:
        """``value_names`` by the number itself."""
        return None if self.value_names is None else {int(value): name for value, name in self.value_names.items()}


class Place(Settings):
    """Where a data set is."""

    data: Path
    """Folder with images/ and, where they exist, labels/ of the same stems; or a CSV manifest."""


class Images(Reading, Place):
    """Where the images are and how to read them."""

    label_sets: tuple[str, ...] | None = None
    """Which sub-folders of labels/, or label columns of a manifest, to learn from. None is all of them."""

    pixel_size: Annotated[float, Field(gt=0)] | None = None
    """Images are resampled to this when read, micrometres per pixel. None keeps them as they are."""

    invert: Literal["none", "all", "bright"] = "none"
    """Which images to turn from dark on bright to bright on dark: none, all, or those whose background is bright (their
    median brightness lies above a third of its range). How many were turned is told and kept."""


class Source(Images):
    """Images, and how they are divided."""

    split: tuple[Fraction, Fraction, Fraction] = (0.6, 0.2, 0.2)
    """Fractions of the groups for training, validation and test, where the manifest gives none."""

    split_seed: int = 0
    """Seed of that division. The same for all arms and seeds."""

    private: bool = False
    """Write pseudonyms in place of image and group names, and no path of the data, into every file of the run. A
    pseudonym is the beginning of its file's SHA-256; groups are divided by pseudonym, so other ones may be tested."""

    def resolved(self) -> dict[str, Any]:
        """Return every field as plain JSON values; of private data, no path, nor one that lies within."""
        values = super().resolved()
        return hide_places(values, self.model_dump(), self.places().values()) if self.private else values

    def places(self) -> dict[str, Path]:
        """Return where images come from, by a word for each."""
        shift: Mapping[str, Place] = getattr(self, "shift", {})
        return {"data": self.data, **{f"data_{name}": each.data for name, each in shift.items()}}

    @model_validator(mode="after")
    def _leaves_images_alone(self) -> "Source":
        out = getattr(self, "out", None)
        within = [] if out is None else [part for part in _PARTS if out.absolute().is_relative_to(self._part(part))]
        if within:
            raise ValueError(f"out is {out}, which lies among the data's own {within[0]}/. Choose a folder elsewhere")
        return self

    def _part(self, name: str) -> Path:
        return self.data.absolute() / name

    @model_validator(mode="after")
    def _whole(self) -> "Source":
        if abs(sum(self.split) - 1) > 1e-6:
            raise ValueError(f"split must add up to 1, but {self.split} adds up to {sum(self.split):g}")
        return self


class Scored(Source):
    """Images that students are scored on, too."""

    by: str | None = None
    """Column of the manifest by whose values scores are told, too, such as modality for a column #modality. None: none.
    It changes no score. Of private data, its values stand in the report as they are."""

    data_licence: Annotated[str, Field(min_length=1)] | None = None
    """Under which terms the images may be used, such as CC-BY-NC-4.0; it goes into the report and the students' cards.
    None takes what a column #licence of the manifest says, as `segdistill datasets` writes one; else it is not
    stated."""
