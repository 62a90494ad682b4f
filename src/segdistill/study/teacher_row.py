"""A teacher's own row in the account: its scores on the test fields, and the labels that they rest on."""

from collections.abc import Sequence
from dataclasses import replace

from segdistill.data.labels import Structure, output_names
from segdistill.data.sample import Sample
from segdistill.evaluation.summary import Record
from segdistill.inference.thresholds import tune_objects
from segdistill.study.account import Labels
from segdistill.study.arms import Bench, ruler_of, score_maps
from segdistill.study.described import described_by


def labels_of_teacher(bench: Bench, name: str) -> Labels:
    """Return how many labelled images a teacher's own row rests on.

    Those by which it was fitted, and the validation fields by which its objects are told apart; each once.
    """
    teaching = bench.teachings[name]
    chosen_by = {sample.name for sample in _told_apart_on(bench, name)}
    shared = len(chosen_by & teaching.fitted_on)
    return Labels(0, len(chosen_by), teaching.contract.labels_seen, shared, teaching.contract.oracle)


def score_teacher(bench: Bench, name: str, row: str) -> list[Record]:
    """Return a teacher's own scores on the test fields under a row's name, of the structures that it describes.

    How its objects are told apart is tuned on the validation fields, as for every student.
    """
    teaching = bench.teachings[name]
    structures = described_by(bench.structures, teaching.contract.outputs)
    if not structures:
        return []
    outputs = output_names(structures)
    seen = [(teaching.maps(sample.name, outputs), sample) for sample in _told_apart_on(bench, name)]
    cases = [(maps, sample.planes, sample.counts, sample.known) for maps, sample in seen if maps is not None]
    thresholds = tune_objects(cases, structures)
    records: list[Record] = []
    for sample in bench.prepared.labelled("test"):
        maps, ruler = teaching.maps(sample.name, outputs), ruler_of(bench.prepared, sample)
        unit, own = bench.prepared.groups[sample.name], _of(sample, structures, bench)
        records += score_maps(own, structures, maps, thresholds, ruler=ruler, arm=row, seed=0, field=unit)
    return records


def _told_apart_on(bench: Bench, name: str) -> list[Sample]:
    """Return the validation fields, with what a teacher describes of them, by which its objects are told apart."""
    teaching = bench.teachings[name]
    structures = described_by(bench.structures, teaching.contract.outputs)
    apart = [each.instances for each in structures]
    described = [each for each in bench.prepared.labelled("validation") if each.name in teaching.targets]
    own = [_of(sample, structures, bench) for sample in described] if structures else []
    return [sample for sample in own if sample.known[apart].any() and sample.counts.any()]


def _of(sample: Sample, structures: Sequence[Structure], bench: Bench) -> Sample:
    """Return a field with the labels of some structures alone."""
    places = [bench.structures.index(each) for each in structures]
    return replace(sample, planes=sample.planes[places], known=sample.known[places])
