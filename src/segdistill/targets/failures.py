"""The images of which a teacher said nothing, kept beside what it said of the others."""

import json
from collections.abc import Sequence
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
    listed = [
        Failure(**entry)
        for path in sorted(store.folder.glob(f"slice-*-of-*/{NAME}"))
        for entry in json.loads(path.read_text(encoding="utf-8"))
    ]
    return tuple({failure.case: failure for failure in listed if failure.case not in described}.values())
