"""What each channel is worth to a network: its score where one channel comes from another field, and its speed.

A channel of another field keeps the look that a network expects and says nothing about this one. Blank
pixels would show it something that it never saw.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from segdistill.data.case import numbered
from segdistill.data.labels import Structure, output_names
from segdistill.data.sample import Sample
from segdistill.evaluation import dice
from segdistill.files import write_json
from segdistill.networks.model import load_model
from segdistill.study.arms import RULE, ArmRun, Bench, channels_in_use
from segdistill.study.folds import units_of
from segdistill.study.seen import labelled_planes
from segdistill.study.shuffling import with_channels_of
from segdistill.targets import image_key
from segdistill.training.entries import make_entry
from segdistill.training.validation import entry_maps

FIELDS = 6
"""Test fields that are shown; of so many, a large effect is seen and a heavy teacher is not asked for hours."""

FILE = "channel_use.json"

Say = Callable[[Sample], Float[np.ndarray, "o y x"]]


@dataclass(frozen=True)
class ChannelUse:
    """What one channel is worth."""

    channel: str
    """Its name."""

    whole: float
    """Dice with every channel of the field itself, the mean over fields."""

    without: float
    """Dice where this channel is another field's."""


@dataclass(frozen=True)
class Use:
    """What showing a network some test fields told."""

    fields: int
    """How many."""

    parameters: int | None
    """Of the network; None: not known."""

    milliseconds: float
    """Per megapixel, the median over fields."""

    channels: tuple[ChannelUse, ...]
    """Empty where there is no field of another group to take a channel from, or no second channel."""


def student_use(
    bench: Bench, run: ArmRun, *, parameters: int, structures: Sequence[Structure] | None = None
) -> Use | None:
    """Show a student some test fields; None where none can be scored.

    Args:
        bench: What all arms share.
        run: The arm and seed.
        parameters: Of its network.
        structures: That are scored. None: all.
    """
    among = bench.structures if structures is None else tuple(structures)
    network = load_model(run.folder / "model").module.to(bench.device)
    channels = channels_in_use(bench, run.arm)
    outputs = len(output_names(bench.structures))

    def say(sample: Sample) -> Float[np.ndarray, "o y x"]:
        entry = make_entry(sample, channels=channels, rule=RULE)
        return entry_maps(network, entry, outputs=outputs, device=bench.device)

    shown = _fields(bench, among)
    if not shown:
        return None
    own = _lendable(channels, shown)
    thresholds = [run.facts["thresholds"].get(each.name, {}).get("foreground", 0.5) for each in bench.structures]
    return _use(bench, among, shown, say, own if len(own) > 1 else [], names=output_names(bench.structures),
                thresholds=thresholds, parameters=parameters)  # fmt: skip


def teacher_use(bench: Bench, name: str | None, *, structures: Sequence[Structure] | None = None) -> Use | None:
    """Show a teacher some test fields, or read what came of it before.

    None where there is no teacher, where it cannot be shown other fields (maps that some tool made), where
    it does not give every structure that is scored, or where no field can be scored.

    Args:
        bench: What all arms share.
        name: The teacher, by its name in the study.
        structures: That are scored. None: all.
    """
    among = bench.structures if structures is None else tuple(structures)
    teaching = None if name is None else bench.teachings[name]
    shown = _fields(bench, among)
    if teaching is None or teaching.summon is None or teaching.folder is None or not shown:
        return None
    contract = teaching.contract
    if any(structure.name not in contract.outputs for structure in among):
        return None
    fields = [image_key(sample.image) for sample, _ in shown]
    weights = contract.weights_sha256
    identity: dict[str, Any] = {"weights": weights, "channels": list(teaching.channels), "fields": fields}
    if set(among) != set(bench.structures):
        identity["structures"] = [each.name for each in among]
    units = units_of(bench.prepared)
    tested = [units[name] for name in bench.prepared.split["test"]]
    if len(set(tested)) < len(tested):  # an earlier version took whichever field came next, of the same group, too
        identity["lenders"] = [None if lender is None else image_key(lender.image) for _, lender in shown]
    path = teaching.folder / FILE
    before = _read(path, identity)
    if before is not None:
        return before
    channels = _lendable(teaching.channels, shown)
    looks = len(shown) * (1 + len(channels))
    times = f"{numbered(looks, 'look')} at {numbered(len(shown), 'test field')}"
    bench.notice(f"What each channel is worth to {contract.name}: {times}.")
    speaker = teaching.summon()
    thresholds = [0.5 for _ in bench.structures]
    use = _use(bench, among, shown, speaker.say, channels, names=contract.outputs, thresholds=thresholds,
               parameters=speaker.parameters)  # fmt: skip
    write_json(path, {"of": identity, **asdict(use)})
    return use


def _fields(bench: Bench, structures: Sequence[Structure]) -> list[tuple[Sample, Sample | None]]:
    """Return the fields to show, each with the one that lends it a channel; None where no other group can lend.

    That is the next one in a circle that is of another group: a neighbour's channel is nearly the right one.
    """
    tests = bench.prepared.labelled("test")
    scored = [sample for sample in tests if any(True for _ in labelled_planes(bench, sample, structures))]
    units = units_of(bench.prepared)
    found: list[tuple[Sample, Sample | None]] = []
    for place, sample in enumerate(scored[:FIELDS]):
        others = (each for each in (*scored[place + 1 :], *scored[:place]) if units[each.name] != units[sample.name])
        found.append((sample, next(others, None)))
    return found


def _lendable(channels: Sequence[str], shown: Sequence[tuple[Sample, Sample | None]]) -> list[str]:
    """Return the channels that another field can lend: those that files have, not those made of others, as luma is."""
    lenders = [lender for _, lender in shown if lender is not None]
    return [
        channel
        for channel in dict.fromkeys(channels)
        if lenders and all(channel in sample.image.channels for sample in [*lenders, *(own for own, _ in shown)])
    ]


def _use(
    bench: Bench,
    structures: Sequence[Structure],
    shown: Sequence[tuple[Sample, Sample | None]],
    say: Say,
    channels: Sequence[str],
    *,
    names: Sequence[str],
    thresholds: Sequence[float],
    parameters: int | None,
) -> Use:
    say(shown[0][0])  # the first look costs more than others
    whole, times = [], []
    for sample, _ in shown:
        began = time.perf_counter()
        maps = say(sample)
        times.append(1e3 * (time.perf_counter() - began) / (sample.counts.size / 1e6))
        whole.append(_dice(bench, structures, sample, maps, names, thresholds))
    found = []
    for channel in channels:
        scores = [
            _dice(bench, structures, sample, say(with_channels_of(sample, lender, [channel])), names, thresholds)
            for sample, lender in shown
            if lender is not None
        ]
        found.append(ChannelUse(channel, float(np.mean(whole)), float(np.mean(scores))))
    return Use(len(shown), parameters, float(np.median(times)), tuple(found))


def _dice(
    bench: Bench,
    structures: Sequence[Structure],
    sample: Sample,
    maps: np.ndarray,
    names: Sequence[str],
    thresholds: Sequence[float],
) -> float:
    return float(
        np.mean(
            [
                dice(maps[list(names).index(structure)] > thresholds[place], label, counts=sample.counts)
                for place, structure, label in labelled_planes(bench, sample, structures)
            ]
        )
    )


def _read(path: Path, identity: Mapping[str, Any]) -> Use | None:
    """Return what was found out before, of the same teacher and fields; None where that is not there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("of") != identity:
            return None
        return Use(**content | {"channels": tuple(ChannelUse(**each) for each in content["channels"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
