"""The data check of a run: the survey of `segdistill check`, once at its beginning, kept beside its settings."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from segdistill.data.datasets import Case
from segdistill.data.duplicates import alike_names
from segdistill.data.glimpse import Glimpse
from segdistill.data.oddities import oddities
from segdistill.data.splits import same
from segdistill.data.survey import Survey, survey
from segdistill.data.survey_remarks import remarks
from segdistill.files import write_json
from segdistill.report.check_content import Balance
from segdistill.report.content.data_check import DataCheck, Doubles, Part, Suspect
from segdistill.settings.run_folder import CHECK_FILE
from segdistill.study.checking import Looked, class_balance, facts_of
from segdistill.study.preparation import Prepared

MOST = 200
"""Images that are surveyed; of more, so many that are evenly spread."""

SHOWN = 12
"""Suspicious cases, and groups of doubles, that are named."""

_ALREADY_TOLD = ("images", "readable images")

Notice = Callable[[str], None]


def data_check_in(
    folder: Path, prepared: Prepared, hashes: Mapping[str, str], *, private: bool, notice: Notice = lambda _: None
) -> DataCheck:
    """Return the data check that a run's folder keeps, made now where it keeps none of these very data.

    Args:
        folder: Of the run, held by this process or shared by several that write the same.
        prepared: The run's data.
        hashes: From ``field_hashes``: of what data the check is.
        private: Whether faults, which name files, are only counted.
        notice: Told how far it is, where there are many images.
    """
    identity = hashlib.sha256(json.dumps(dict(hashes), sort_keys=True).encode()).hexdigest()
    record = folder / CHECK_FILE
    before = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    if before.get("data_sha256") == identity:
        return check_from_json(before["check"])
    made = check_data(prepared, private=private, notice=notice)
    write_json(record, {"data_sha256": identity, "check": asdict(made)})
    return made


def check_data(prepared: Prepared, *, private: bool, notice: Notice = lambda _: None) -> DataCheck:
    """Survey a run's data, at most ``MOST`` of its images.

    Args:
        prepared: The run's data.
        private: Whether faults, which name files, are only counted.
        notice: Told how far it is, where there are many images.
    """
    part_of = {name: part for part, names in prepared.split.items() for name in names}
    chosen = _spread([case for case in prepared.dataset.cases if case.name in part_of])
    dataset = replace(prepared.dataset, cases=tuple(chosen), notes=())
    kinds = {each.name: each.kind for each in dataset.label_sets}
    looked = Looked(len(chosen), near_duplicates=True, notice=notice)
    found = survey(dataset, label_kind=_one(kinds), fill_non_finite=True, visit=looked.look)
    reasons = oddities(looked.glimpses, instances=[name for name, kind in kinds.items() if kind == "instances"])
    doubles = sorted(_doubles(looked, part_of), key=lambda each: not each.across)
    return DataCheck(
        parts=tuple(_part(prepared, name) for name in prepared.split),
        looked_at=len(chosen),
        facts=tuple((what, words) for what, words in facts_of(dataset, found) if what not in _ALREADY_TOLD),
        suspects=tuple(
            Suspect(name=name, part=part_of[name], reasons=tuple(words))
            for name, words in list(reasons.items())[:SHOWN]
        ),
        more_suspects=max(0, len(reasons) - SHOWN),
        doubles=tuple(doubles[:SHOWN]),
        balance=tuple(_balance(prepared, looked.glimpses, kinds)),
        remarks=(*remarks(dataset, found, equal=(), alike=()), *_faults(found, doubles, private=private)),
    )


def check_from_json(values: Mapping[str, Any]) -> DataCheck:
    """Return a data check from what ``asdict`` made of it.

    >>> check = DataCheck(parts=(Part(name="test", images=1, labelled=1, groups=1, empty=0),), looked_at=1,
    ...     facts=(("type", "uint8"),), suspects=(Suspect(name="a", part="test", reasons=("torn",)),),
    ...     more_suspects=0, doubles=(Doubles(nearly=True, images=(("a", "test"), ("b", "test"))),),
    ...     balance=(), remarks=("one",))
    >>> check_from_json(json.loads(json.dumps(asdict(check)))) == check
    True
    """
    return DataCheck(
        parts=tuple(Part(**each) for each in values["parts"]),
        looked_at=values["looked_at"],
        facts=tuple((what, words) for what, words in values["facts"]),
        suspects=tuple(Suspect(**each | {"reasons": tuple(each["reasons"])}) for each in values["suspects"]),
        more_suspects=values["more_suspects"],
        doubles=tuple(
            Doubles(nearly=each["nearly"], images=tuple((name, part) for name, part in each["images"]))
            for each in values["doubles"]
        ),
        balance=tuple(Balance(**each) for each in values["balance"]),
        remarks=tuple(values["remarks"]),
    )


def _spread(cases: Sequence[Case]) -> list[Case]:
    count = min(len(cases), MOST)
    return [cases[place * len(cases) // count] for place in range(count)]


def _one(kinds: Mapping[str, str]) -> str | None:
    found = set(kinds.values())
    return found.pop() if len(found) == 1 else None


def _part(prepared: Prepared, name: str) -> Part:
    labelled = prepared.labelled(name)
    return Part(
        name=name,
        images=len(prepared.split[name]),
        labelled=len(labelled),
        groups=len({prepared.groups[each] for each in prepared.split[name]}),
        empty=sum(not sample.planes[sample.known].any() for sample in labelled),
    )


def _doubles(looked: Looked, part_of: Mapping[str, str]) -> Iterator[Doubles]:
    equal = same(looked.prints)
    told = [set(names) for names in equal]
    nearly = [names for names in alike_names(looked.pictures) if not any(set(names) <= each for each in told)]
    for is_near, groups in ((False, equal), (True, nearly)):
        for names in groups:
            yield Doubles(nearly=is_near, images=tuple((name, part_of[name]) for name in names))


def _balance(prepared: Prepared, glimpses: Sequence[Glimpse], kinds: Mapping[str, str]) -> Iterator[Balance]:
    for each in prepared.dataset.label_sets:
        yield from class_balance(
            glimpses, {each.name: kinds[each.name]}, dict(zip(each.values, each.structures, strict=False))
        )


def _faults(found: Survey, doubles: Sequence[Doubles], *, private: bool) -> Iterator[str]:
    if private and found.faults:
        yield f"{len(found.faults)} faults, whose words name files: `segdistill check` tells them."
    else:
        yield from found.faults
    if len(doubles) > SHOWN:
        yield f"{len(doubles) - SHOWN} more groups of images that show the same; `segdistill check` names all."
