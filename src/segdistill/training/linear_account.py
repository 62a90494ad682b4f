"""How much of teachers' features stands in an encoder's, whatever heads were trained: the best linear map."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from segdistill.evaluation.linear_map import LinearMap, fit_linear_map
from segdistill.networks.tokens import TokenEncoder
from segdistill.training.feature_account import Match, match_pictures
from segdistill.training.pictures import Picture
from segdistill.training.stored_teacher import StoredTeacher


def match_linearly(
    encoder: TokenEncoder,
    teachers: Sequence[StoredTeacher],
    training: Sequence[Picture],
    held_out: Sequence[Picture],
) -> dict[str, Match]:
    """Return how well linear maps of an encoder's tokens, fitted on training views, say held-out ones.

    An encoder with random weights can be measured so, too, which its untrained heads would not allow.

    Args:
        encoder: In evaluation mode; it does not change.
        teachers: What is to be said.
        training: Views to fit one map per teacher on.
        held_out: Views to compare on.

    Returns:
        By label, of teachers that spoke of views of both kinds.
    """
    seen = {id(picture): tokens_of_picture(encoder, picture) for picture in [*training, *held_out]}
    maps = {teacher.label: _fit(teacher, training, seen) for teacher in teachers}
    fitted = [teacher for teacher in teachers if maps[teacher.label] is not None]

    def say(picture: Picture) -> dict[str, np.ndarray]:
        return {t.label: _said(maps[t.label], seen[id(picture)]) for t in fitted}

    return match_pictures(fitted, held_out, say)


def tokens_of_picture(encoder: TokenEncoder, picture: Picture) -> Float[np.ndarray, "_ _ d"]:
    """Return an encoder's tokens of a view, those that lie on it."""
    device = next(encoder.parameters()).device
    height, width = picture.cells
    with torch.inference_mode():
        tokens = encoder(torch.from_numpy(picture.pixels)[None].to(device))
    return tokens[0, :, :height, :width].permute(1, 2, 0).float().cpu().numpy()


def _fit(teacher: StoredTeacher, training: Sequence[Picture], seen: dict[int, np.ndarray]) -> LinearMap | None:
    spoken = [picture for picture in training if teacher.speaks_of(picture.key)]
    if sum(picture.cells[0] * picture.cells[1] for picture in spoken) < 2:
        return None
    pairs = ((seen[id(each)], np.moveaxis(teacher.tokens(each.key, each.cells), 0, -1)) for each in spoken)
    return fit_linear_map(pairs)


def _said(map_: LinearMap | None, tokens: np.ndarray) -> np.ndarray:
    if map_ is None:
        return tokens
    return map_(tokens)
