"""Settings of stored features: how they are kept, and which views of an image a teacher looks at."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from segdistill.settings.base import Settings
from segdistill.settings.training import Positive


class TokenViews(Settings):
    """How a teacher's features are stored, and of which views."""

    tokens_as: Literal["float16", "int8"] = "int8"
    """How features are stored; int8 takes half the room of float16. The cosine to what the teacher said is shown."""

    views: Positive = 1
    """How often the teacher looks at an image: whole, then at parts of it that are drawn once and recorded. Features
    are never mirrored or cropped themselves, for those of a mirrored image are others."""

    smallest_view: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Side of the smallest part that is looked at, as a fraction of the image's."""

    mirrored_views: bool = True
    """Whether parts may be mirrored. Wrong where left and right differ, as on radiographs."""

    turned_views: bool = True
    """Whether parts are turned by quarter turns. Wrong where up and down differ."""

    view_seed: int = 0
    """Of the drawing of views."""

    @model_validator(mode="after")
    def _has_parts_to_draw(self) -> "TokenViews":
        drawn = ("smallest_view", "mirrored_views", "turned_views", "view_seed")
        given = [name for name in drawn if getattr(self, name) != TokenViews.model_fields[name].default]
        if self.views == 1 and given:
            raise ValueError(f"{', '.join(given)} is void with one view, which is the whole image")
        return self
