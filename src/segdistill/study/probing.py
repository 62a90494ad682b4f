"""Probes that are fitted here: a SAM's encoder stays as it is, a small head reads its features (prompting ``probe``).

As with a teacher that is fitted here, each labelled training image, and every twin of it, is described by a head that
was fitted on the other folds. The encoder looks at every image once; all heads share it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from segdistill.augment.label_maps import label_maps
from segdistill.data.labels import Structure, output_names
from segdistill.data.sample import Sample
from segdistill.data.tiling import padded, tiles
from segdistill.settings import TeacherSpec
from segdistill.study.asking import options_of
from segdistill.study.folds import SEED, FoldPlan, plan_folds
from segdistill.study.preparation import Prepared
from segdistill.targets.look import field_of
from segdistill.teachers.sam import SamTeacher
from segdistill.teachers.sam_build import load_sam, with_probe
from segdistill.teachers.sam_probe import Fit, Lesson, encode_lessons, fit_probe, save_probe

PROMPTING = "probe"
Notice = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class ProbeFold:
    """One probed teacher."""

    teacher: SamTeacher
    """It shares its encoder with the others."""

    describes: tuple[str, ...]
    """Images that its head was not fitted on and is to describe."""


def fit_probes(
    spec: TeacherSpec, prepared: Prepared, *, folder: Path, device: str, notice: Notice
) -> tuple[list[ProbeFold], frozenset[str]]:
    """Fit a head on all labelled training images, and one per fold; or read back what was fitted before.

    Args:
        spec: The teacher; its prompting is ``probe``.
        prepared: The images.
        folder: Where the heads are kept.
        device: Where the encoder runs.
        notice: Told what is fitted.

    Returns:
        First the teacher whose head was fitted on all of them, then one per fold; and the images whose labels
        were used.

    Raises:
        ConfigError: The teacher is no SAM, or fewer than two groups of training images are labelled in full.
    """
    base = load_sam(spec.teacher, channels=spec.channels, weights=spec.weights, device=device, options=options_of(spec))
    structures = prepared.dataset.structures
    labelled = [sample for sample in prepared.labelled("train") if sample.known.all()]
    plans = plan_folds(
        prepared, labelled, who=f"A probe of {spec.teacher}", instead="ask by grid, which reads no label"
    )
    heads = [folder / f"{plan.name}.safetensors" for plan in plans]
    if not all(path.is_file() for path in heads):
        notice(f"Fitting {len(heads)} probes of {spec.teacher} on {len(labelled)} labelled images …")
        _fit(base, labelled, plans, heads, structures)
    folds = [ProbeFold(with_probe(base, path), plan.describes) for plan, path in zip(plans, heads, strict=True)]
    return folds, frozenset(sample.name for sample in labelled)


def _fit(
    base: SamTeacher,
    labelled: Sequence[Sample],
    plans: Sequence[FoldPlan],
    heads: Sequence[Path],
    structures: Sequence[Structure],
) -> None:
    lessons = [(sample.name, lesson) for sample in labelled for lesson in _lessons(base, sample, structures)]
    encoded = encode_lessons(base.model, [lesson for _, lesson in lessons])
    for plan, path in zip(plans, heads, strict=True):
        own = {sample.name for sample in plan.training}
        kept = [place for place, (name, _) in enumerate(lessons) if name in own]
        probe = fit_probe(
            base.model,
            [lessons[place][1] for place in kept],
            outputs=output_names(structures),
            base_sha256=base.contract.weights_sha256,
            fit=Fit(seed=SEED),
            encoded=[encoded[place] for place in kept],
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        save_probe(path, replace(probe, labels_seen=len({lessons[place][0] for place in kept})))


def _lessons(base: SamTeacher, sample: Sample, structures: Sequence[Structure]) -> Iterator[Lesson]:
    """Yield what a head is shown of a field, in tiles no larger than those in which it will be asked."""
    image = field_of(base, sample, structures).pixels
    wanted = label_maps(torch.from_numpy(sample.planes)[None], [each.instances for each in structures])[0].numpy()
    shape = sample.counts.shape
    tile = base.contract.tile
    if tile is None or max(shape) <= tile:
        yield Lesson(image, wanted, sample.counts)
        return
    for part in tiles((shape[0], shape[1]), side=tile, halo=0):
        counts = np.pad(sample.counts[part.read], part.pad)  # beyond the image's end nothing counts
        if counts.any():
            yield Lesson(padded(image[:, *part.read], part), np.pad(wanted[:, *part.read], ((0, 0), *part.pad)), counts)
