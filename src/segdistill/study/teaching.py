"""What a teacher says of every image of a study, stored once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Shaped

from segdistill.data.sample import Sample
from segdistill.errors import ConfigError, DataError
from segdistill.settings import Adaptation, Protocol, TeacherSpec
from segdistill.settings.run_folder import TARGETS_FOLDER
from segdistill.study.adapting import Task, file_hashes, fit_folds, known_in, learnt_by
from segdistill.study.asking import options_of
from segdistill.study.early import check_described
from segdistill.study.fitted import Fitting, fit_teachers, is_fitted
from segdistill.study.heard import claim_teacher
from segdistill.study.preparation import Prepared
from segdistill.study.probing import PROMPTING, fit_probes
from segdistill.study.shuffling import reading
from segdistill.study.stores import fill_store, header_in
from segdistill.targets import Filling, Key, TargetStore, create_store, image_key, load_maps, store_folder
from segdistill.targets.header import Header
from segdistill.targets.look import field_of, look, tokens_of
from segdistill.teachers.contract import NO_HINT, Contract, Hint, Teacher, parameters_of
from segdistill.teachers.load import load_teacher

Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Speaker:
    """A teacher in memory, ready to be shown fields."""

    say: Callable[[Sample], Float32[np.ndarray, "k y x"]]
    """Its probability maps of a field, one per output of its contract."""

    parameters: int | None
    """All of its weights; None: it does not say."""


@dataclass(frozen=True, eq=False)
class Teaching:
    """A teacher and what it said."""

    contract: Contract
    """Of the teacher that was fitted on everything it may see; its folds share it but for their weights."""

    channels: tuple[str, ...]
    """What it was shown, by name."""

    targets: Mapping[str, Mapping[str, Shaped[np.ndarray, "y x"]]]
    """Case to output to the map as it is stored."""

    tokens: Mapping[str, Mapping[str, Shaped[np.ndarray, "..."]]] = field(default_factory=dict)
    """Case to its features as they are stored, for ``load_tokens``; empty: nobody asked for them."""

    failed: Mapping[str, str] = field(default_factory=dict)
    """Case to the reason why there is no target."""

    fitted_on: frozenset[str] = frozenset()
    """Cases of this study on whose labels it was fitted, here or by `adapt`; empty: nothing is known of any."""

    marks: frozenset[str] = frozenset()
    """Beginnings of the hashes of all images on whose labels it was fitted before this study, of any data, as far as
    they are known."""

    in_fold: frozenset[str] = frozenset()
    """Those of them that it describes itself, though it knows their labels; the others, folds describe."""

    folder: Path | None = None
    """Where what is found out about it is kept; None: nowhere."""

    summon: Callable[[], Speaker] | None = None
    """Brings it back into memory, which it leaves once it has spoken; None: it cannot be shown other fields."""

    def maps(self, case: str, outputs: Sequence[str]) -> Float32[np.ndarray, "o y x"] | None:
        """Return the probabilities of some outputs in a case; None where the teacher failed on it."""
        if case not in self.targets:
            return None
        return np.stack([load_maps(self.targets[case][name]) for name in outputs])

    def probability(self, case: str, output: str) -> Float32[np.ndarray, "y x"] | None:
        """Return the probability of one output in a case; None where there is none."""
        if case not in self.targets or output not in self.targets[case]:
            return None
        return load_maps(self.targets[case][output])


@dataclass(frozen=True, eq=False)
class Asked:
    """A teacher that is to speak about the images of a study."""

    name: str
    """What the arms of the study call it."""

    spec: TeacherSpec
    """Which it is, what it sees and how it is asked."""

    run: Path
    """Folder of the study: teachers that are fitted here and targets are kept in it."""

    protocol: Protocol
    """By which it is trained, if it is fitted here."""

    device: str
    """Where it runs."""

    notice: Notice
    """Told what it will take."""

    targets: Path | None = None
    """Folder that `segdistill targets` wrote. None: in the study's."""

    features: bool = False
    """Whether an arm compares its features, which are then stored beside its maps."""

    def settings(self) -> dict[str, Any]:
        """Return everything that decides what it says beside the images, as plain JSON values."""
        protocol = self.protocol.resolved() if is_fitted(self.spec.teacher) else None
        return {"teacher": self.spec.resolved(), "protocol": protocol}

    def defaults(self) -> dict[str, Any]:
        """Return the defaults of these settings, for folders that were begun before there were all of them."""
        return {"teacher": TeacherSpec.defaults(), "protocol": Protocol.defaults()}


def teach(asked: Asked, prepared: Prepared) -> Teaching:
    """Let a teacher say what it has to say of every image, or read what it said before.

    What a teacher said for `segdistill targets` is read where that folder is named; what is missing
    or damaged there is made there.

    Args:
        asked: The teacher.
        prepared: The images.

    Raises:
        ConfigError: Other weights of it taught what the study holds.
        SegdistillError: The teacher cannot be had, or does not suit the images.
    """
    spec, notice = asked.spec, asked.notice
    teachers, fold_of, fitted_on = _teachers(asked, prepared)
    contract = teachers[0].contract
    claim_teacher(asked.run, asked.name, [teacher.contract for teacher in teachers])
    left = check_described(prepared.dataset.structures, contract.outputs, teacher=contract.name)
    if left:
        notice(f"{contract.name} does not describe {', '.join(left)}: students learn that from labels alone.")
    in_fold = frozenset[str]() if fold_of else fitted_on
    if in_fold:
        notice(f"{contract.name} was fitted on the labels of {len(in_fold)} of these images: not out of fold there.")
    tokens = _token_names(asked, contract)
    store = _store(asked, teachers, tokens, fitted_here=fold_of is not None)
    filling = Filling(
        teachers=teachers,
        names=sorted(prepared.samples),
        read=reading(prepared, spec.shuffled),
        structures=prepared.dataset.structures,
        fold_of=fold_of,
    )
    keys = {name: Key(image_key(filling.read(name).image)) for name in filling.names}
    failed: dict[str, str] = {}
    if fold_of or contract.oracle or not _has_all(store, keys.values()):
        title = f"Targets of the {asked.name} {contract.name}"
        shapes = {name: sample.image.array.shape[1:] for name, sample in prepared.samples.items()}
        summary = fill_store(store, filling, title=title, shape_of=shapes.__getitem__, notice=notice)
        failed = {failure.case: failure.reason for failure in summary.failed}
    targets = {name: store.maps(key) for name, key in keys.items() if store.has(key)}
    _refuse_silence(asked, prepared, targets, failed)
    grids = {name: store.stored_tokens(keys[name], tokens[0]) for name in targets} if tokens else {}
    stored = "case" in contract.needs  # its maps are read by name, and what an image shows is all one to them
    can_look = bool(contract.channels) and not spec.shuffled and not stored
    return Teaching(
        contract,
        spec.channels,
        targets,
        grids,
        failed,
        fitted_on,
        learnt_by(spec.teacher),
        in_fold,
        folder=asked.run / "teachers" / asked.name,
        summon=partial(_summon, asked, prepared, store.header) if can_look else None,
    )


def _refuse_silence(asked: Asked, prepared: Prepared, targets: Mapping[str, Any], failed: Mapping[str, str]) -> None:
    """Refuse a teacher that had nothing to say of any training image: a student would learn nothing from it."""
    training = prepared.split["train"]
    if training and not any(name in targets for name in training):
        reason = next((failed[name] for name in training if name in failed), "no reason is known")
        raise DataError(
            f"The {asked.name} {asked.spec.teacher!r} failed on every one of the {len(training)} training images, so"
            f" nothing could be learnt from it. Of the first it said: {reason}"
        )


def _summon(asked: Asked, prepared: Prepared, header: Header) -> Speaker:
    """Load the teacher that describes test fields."""
    teacher = _teachers(asked, prepared)[0][0]

    def say(sample: Sample) -> Float32[np.ndarray, "k y x"]:
        shown = field_of(teacher, sample, prepared.dataset.structures)
        return look(teacher, shown, tile=header.tile, halo=header.halo)

    return Speaker(say, parameters_of(teacher))


def _token_names(asked: Asked, contract: Contract) -> tuple[str, ...]:
    """Return the name of the features that arms compare, those nearest the teacher's maps; none where no arm does.

    Raises:
        ConfigError: The teacher gives no features.
    """
    if not asked.features:
        return ()
    if not contract.tokens:
        raise ConfigError(
            f"An arm compares its features with those of the teacher {contract.name!r}, which gives maps alone. Choose"
            " another distillation for that arm, or a teacher with features: a SAM, fit:STUDENT or model:FOLDER."
        )
    return (next(iter(contract.tokens)),)


def _store(asked: Asked, teachers: Sequence[Teacher], tokens: tuple[str, ...], *, fitted_here: bool) -> TargetStore:
    shared = None if fitted_here else asked.targets  # nobody else can know a teacher that was fitted here
    root = asked.run / TARGETS_FOLDER if shared is None else shared
    header = header_in(root, *(teacher.contract for teacher in teachers), tokens=tokens)
    return create_store(store_folder(root, header), header)


def _has_all(store: TargetStore, keys: Iterable[Key]) -> bool:
    """Return whether nothing is to be written: then several runs can read one store at the same time."""
    return all(store.has(key) for key in keys)


def _teachers(asked: Asked, prepared: Prepared) -> tuple[list[Teacher], Mapping[str, int] | None, frozenset[str]]:
    """Return the teacher, or one per fold with the case to fold table; and the cases whose labels it was fitted on."""
    spec, structures, device = asked.spec, prepared.dataset.structures, asked.device
    if is_fitted(spec.teacher):
        folder = asked.run / "teachers" / asked.name
        fitting = Fitting(asked.protocol, prepared, spec.teacher, spec.channels, folder, device, asked.notice)
        folds = fit_teachers(fitting)
        loaded: list[Teacher] = [
            Renamed(
                load_teacher(f"model:{fold.model}", channels=spec.channels, structures=structures, device=device),
                spec.teacher,
            )
            for fold in folds
        ]
        used = [*prepared.labelled("train"), *prepared.labelled("validation")]
        return loaded, _fold_of([fold.describes for fold in folds], prepared), frozenset(each.name for each in used)
    if spec.adaptation is not None:
        return _adapted(asked, spec.adaptation, prepared)
    if spec.prompting == PROMPTING:
        folder = asked.run / "teachers" / asked.name
        probes, fitted_on = fit_probes(spec, prepared, folder=folder, device=device, notice=asked.notice)
        fold_of = _fold_of([probe.describes for probe in probes], prepared)
        return [probe.teacher for probe in probes], fold_of, fitted_on
    known = known_in(spec.teacher, prepared)
    teacher = load_teacher(
        spec.teacher,
        channels=spec.channels,
        structures=structures,
        prompting=spec.prompting,
        weights=spec.weights,
        device=device,
        options=options_of(spec),
    )
    return [teacher], None, known


def _adapted(
    asked: Asked, adaptation: Adaptation, prepared: Prepared
) -> tuple[list[Teacher], Mapping[str, int], frozenset[str]]:
    """Return ``_teachers`` for a SAM that is fitted to the task here."""
    spec = asked.spec
    task = Task(
        teacher=spec.teacher,
        channels=spec.channels,
        weights=spec.weights,
        adaptation=adaptation,
        structures=prepared.dataset.structures,
        pixel_size=None,  # the images are read alike for the fitting and for the targets
        hashes=file_hashes(prepared),
        device=asked.device,
        notice=asked.notice,
    )
    folds, fitted_on = fit_folds(task, prepared, folder=asked.run / "teachers" / asked.name)
    loaded: list[Teacher] = [
        Renamed(
            load_teacher(
                f"adapter:{fold.folder}",
                channels=spec.channels,
                weights=spec.weights,
                device=asked.device,
                options=options_of(spec),
            ),
            spec.teacher,
        )
        for fold in folds
    ]
    return loaded, _fold_of([fold.describes for fold in folds], prepared), fitted_on


class Renamed:
    """A teacher under another name: where it was kept is nobody's business."""

    def __init__(self, teacher: Teacher, name: str) -> None:
        """Wrap a teacher.

        Args:
            teacher: What it says stays the same.
            name: What its contract calls it.
        """
        self.teacher = teacher
        self.contract = replace(teacher.contract, name=name)
        self.parameters = parameters_of(teacher)

    def maps(self, image: Float[np.ndarray, "c y x"], hint: Hint = NO_HINT) -> Float[np.ndarray, "k y x"]:
        """Return the teacher's maps; see ``Teacher``."""
        return self.teacher.maps(image, hint)

    def tokens(
        self, image: Float[np.ndarray, "c y x"], names: tuple[str, ...]
    ) -> dict[str, Float[np.ndarray, "_ _ _"]]:
        """Return the teacher's features; see ``TokenTeacher``."""
        return tokens_of(self.teacher, image, names)


def _fold_of(described: Sequence[Sequence[str]], prepared: Prepared) -> dict[str, int]:
    """Return which teacher describes each case: the one that was not fitted on it, else the first."""
    table = dict.fromkeys(prepared.samples, 0)
    for number, names in enumerate(described):
        table |= dict.fromkeys(names, number)
    return table
