"""The images of which a teacher said nothing, kept beside what it said of the others."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from segdistill.files import write_json
from segdistill.targets.account import Failure
from segdistill.targets.shard import slice_folder
from segdistill.targets.store import TargetStore

NAME = "failed.json"


def write_failures(store: TargetStore, part: tuple[int, int], failures: Sequence[Failure]) -> None:
    """Write which cases of one slice failed in its last filling, whole or not at all."""
    write_json(slice_folder(store.folder, part) / NAME, [asdict(failure) for failure in failures])


def read_failures(store: TargetStore) -> tuple[Failure, ...]:
    """Return the cases that failed when their slice was last filled and have no record since."""
    described = store.described()
    return tuple({failure.case: failure for failure in _listed(store) if failure.case not in described}.values())


def named_cases(store: TargetStore) -> frozenset[str]:
    """Return every name that the files of a store hold, of damaged records and of failures too."""
    return store.cases() | {failure.case for failure in _listed(store)}


def _listed(store: TargetStore) -> Iterator[Failure]:
    for path in sorted(store.folder.glob(f"slice-*-of-*/{NAME}")):
        yield from (Failure(**entry) for entry in json.loads(path.read_text(encoding="utf-8")))
