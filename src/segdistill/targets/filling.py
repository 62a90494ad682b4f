"""Who describes what: everything that planning, filling and verifying a store need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from segdistill.data.labels import Structure
from segdistill.data.sample import Sample
from segdistill.errors import ConfigError
from segdistill.targets.header import Header
from segdistill.teachers.contract import Teacher


@dataclass(frozen=True, kw_only=True, eq=False)
class Filling:
    """Teachers and the cases that they describe."""

    teachers: Sequence[Teacher]
    """One; or one per fold, in the order of the header's contracts."""

    names: Sequence[str]
    """Names of the cases."""

    read: Callable[[str], Sample]
    """Returns the sample of a case: the same, to the last pixel, as training will read."""

    structures: Sequence[Structure] = ()
    """What the samples' planes are, in order; needed for an oracle."""

    fold_of: Mapping[str, int] | None = None
    """Case to the teacher that describes it, one that was not fitted on it. None: there is one teacher."""

    def fold(self, name: str) -> int:
        """Return the number of the teacher that describes a case."""
        return 0 if self.fold_of is None else self.fold_of[name]

    def check(self, header: Header) -> None:
        """Refuse what does not belong to a store.

        Raises:
            ConfigError: The teachers are not the header's, or a case has no teacher.
        """
        ours = [teacher.contract.weights_sha256 for teacher in self.teachers]
        theirs = [contract.weights_sha256 for contract in header.contracts]
        if ours != theirs:
            raise ConfigError(
                f"The store is for teachers with weights {_short(theirs)}, but was given {_short(ours)}."
                " Open a store for these teachers."
            )
        if self.fold_of is None and len(self.teachers) > 1:
            raise ConfigError("There are several teachers: say which case each one describes (fold_of).")
        folds = self.fold_of or {}
        wrong = [name for name in self.names if self.fold_of is not None and folds.get(name) not in range(len(ours))]
        if wrong:
            raise ConfigError(
                f"{len(wrong)} cases, such as {wrong[0]!r}, have no teacher of the {len(ours)}. Give each its number."
            )


def _short(hashes: Sequence[str]) -> str:
    return ", ".join(f"{each[:12]}…" for each in hashes) or "none"
