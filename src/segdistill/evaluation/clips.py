"""Scoring how steady the masks of clips are: which fields are frames of one clip, and the score of each clip."""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from segdistill.data.case import shown
from segdistill.data.clips import is_clip
from segdistill.data.readers.planes import number_of
from segdistill.errors import ConfigError, DataError
from segdistill.evaluation.folders import counted, read_label, read_prediction
from segdistill.evaluation.meaning import Meaning, find_meaning
from segdistill.evaluation.pairing import Pair, Pairing
from segdistill.evaluation.temporal import Consistency, Labelled, temporal_consistency
from segdistill.files import neutral_cell, whole_file

COLUMNS = ("clip", "structure", "temporal_consistency", "prediction_to_next", "label_to_next", "steps", "frames")
"""Of the file of clips; see ``Consistency``."""


@dataclass(frozen=True)
class ClipScore:
    """How steady one structure is in one clip."""

    clip: str
    structure: str
    found: Consistency
    frames: int
    """Labelled frames that can be used."""
    first: str
    """Name of the field that is its first labelled frame."""


Frames = Mapping[str, Sequence[tuple[int, Pair]]]
"""Clip to its labelled frames: number and pair, in the order of their numbers."""


def find_clips(pairs: Iterable[Pair], pattern: str | None) -> Frames:
    """Return which fields are frames of one clip.

    Args:
        pairs: All fields.
        pattern: Of the fields' names, with ``{clip}`` and ``{frame}``, a number with all its digits; fields that do not
            match are in no clip. None: the planes of one TIFF or DICOM file of labels or predictions that follow each
            other in time.

    Returns:
        Clips of two labelled frames or more.

    Raises:
        ConfigError: The pattern does not hold each of the two once, or no field matches it.
        DataError: Two fields are one frame.

    >>> pairs = [Pair(f"ann_frame_{number:02d}", Path("a.png"), None) for number in (10, 9)]
    >>> [number for number, _ in find_clips(pairs, "{clip}_frame_{frame}")["ann"]]
    [9, 10]
    """
    pairs = list(pairs)
    expression = None if pattern is None else _expression(pattern)
    clips: defaultdict[str, dict[int, Pair]] = defaultdict(dict)
    for pair in pairs:
        place = _of_file(pair) if expression is None else _matched(pair.name, expression)
        if place is None:
            continue
        clip, number = place
        if number in clips[clip]:
            raise DataError(
                f"{clips[clip][number].name} and {pair.name} are both frame {number} of {clip!r}. Correct --clips, or"
                " remove one."
            )
        clips[clip][number] = pair
    if pattern is None:
        _add_missing(pairs, clips)
    if pattern is not None and not clips:
        names = shown((pair.name for pair in pairs), most=3)
        raise ConfigError(f"None of the fields ({names}) matches --clips {pattern!r}. Correct the pattern.")
    return {clip: sorted(frames.items()) for clip, frames in clips.items() if len(frames) > 1}


def score_clips(
    pairing: Pairing,
    *,
    structure: str,
    pattern: str | None = None,
    label_kind: str | None = None,
    prediction_kind: str | None = None,
) -> tuple[ClipScore, ...]:
    """Return how steady the masks of every clip are; see ``temporal_consistency``. Frame after frame is read.

    The arguments, and what is raised, are those of ``score_folders`` and ``find_clips``. A label that cannot be used is
    passed over, and the steps to and from it; a prediction that cannot be used is a missing one.
    """
    clips = find_clips(pairing.pairs, pattern)
    if not clips:
        return ()
    meaning = find_meaning(pairing, structure=structure, label_kind=label_kind, prediction_kind=prediction_kind)
    return tuple(score for clip, frames in clips.items() for score in _scores(clip, frames, meaning))


def clips_path(scores: Path) -> Path:
    """Return the file of clips that lies beside a file of scores.

    >>> clips_path(Path("runs/scores.csv")).name
    'scores.clips.csv'
    """
    return scores.with_name(f"{scores.stem}.clips.csv")


def write_clips(path: Path, scores: Iterable[ClipScore], *, names: Mapping[str, str] | None = None) -> None:
    """Write the scores of clips as CSV, whole or not at all.

    Args:
        path: Of the file.
        scores: In order.
        names: Field to pseudonym: a clip is called by that of its first frame. None: clips are called by their names.

    Raises:
        EnvironmentFault: It cannot be written.
    """
    with whole_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for each in scores:
            found = each.found
            numbers = ("" if number is None else f"{number:.6f}" for number in (found.prediction, found.label))
            clip = each.clip if names is None else names[each.first]
            texts = (neutral_cell(clip), neutral_cell(each.structure))
            writer.writerow([*texts, f"{found.score:.6f}", *numbers, found.steps, each.frames])


def _scores(clip: str, frames: Sequence[tuple[int, Pair]], meaning: Meaning) -> Iterator[ClipScore]:
    """Yield the score of each structure; each goes through the frames by itself, so that two are held at a time."""
    for place, structure in enumerate(meaning.structures):
        used: list[int] = []
        found = temporal_consistency(_labelled(frames, meaning, place, used))
        if found is not None:
            yield ClipScore(clip, structure.name, found, len(used), frames[0][1].name)


def _labelled(frames: Sequence[tuple[int, Pair]], meaning: Meaning, place: int, used: list[int]) -> Iterator[Labelled]:
    """Yield the frames whose labels can be used, and note their numbers."""
    for number, pair in frames:
        try:
            label = read_label(pair, meaning)
            counts: Bool[np.ndarray, "y x"] | None = counted(pair, label.shape[1:])
        except DataError:  # told, with the reason, by whoever scores the field
            continue
        prediction = read_prediction(pair, meaning, label.shape[1:], {})
        used.append(number)
        yield Labelled(number, label[place] > 0, None if prediction is None else prediction[place] > 0, counts)


def _of_file(pair: Pair) -> tuple[str, int] | None:
    """Return the file of planes that a field is in, by its name, and which plane it is."""
    for path in (pair.label, pair.prediction):
        number = None if path is None else number_of(path)
        if path is not None and number is not None and is_clip(path):
            return pair.name.rpartition("/")[0], number
    return None


def _add_missing(pairs: Iterable[Pair], clips: Mapping[str, dict[int, Pair]]) -> None:
    """Add to clips that are known by their predictions the labelled frames of which there is none."""
    for pair in pairs:
        clip, _, number = pair.name.rpartition("/")
        if pair.prediction is None and clip in clips and number.isdecimal():
            clips[clip].setdefault(int(number), pair)


def _matched(name: str, expression: re.Pattern[str]) -> tuple[str, int] | None:
    match = expression.fullmatch(name)
    return None if match is None else (match["clip"], int(match["frame"]))


def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\{[^{}]*\})", unicodedata.normalize("NFC", pattern))
    fields = sorted(piece for piece in pieces if piece.startswith("{"))
    if fields != ["{clip}", "{frame}"]:
        raise ConfigError(
            f"--clips {pattern!r} must hold {{clip}} and {{frame}}, each once, as in '{{clip}}/{{frame}}'"
            f" (found: {', '.join(fields) or 'neither'})."
        )
    # As few letters as can be: digits that a clip's name would share with a frame's number are the number's.
    meaning = {"{clip}": "(?P<clip>.+?)", "{frame}": "(?P<frame>[0-9]+)"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces))
