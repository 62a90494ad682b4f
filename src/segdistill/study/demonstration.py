"""The whole story on simulated tissue, offline, in minutes.

The regime is the one in which distillation should matter most: few labelled images, many unlabelled
ones of which a teacher saw every channel. How it was chosen, and every change since the first
ladder was seen, is logged in docs/demo.md.
"""

from collections.abc import Callable
from pathlib import Path

from segdistill.data.simulate import TissueSettings, write_tissue
from segdistill.settings import Distill, Protocol
from segdistill.study.conclusion import Finished
from segdistill.study.main_job import distill

FIELDS = 100
"""Simulated fields: 66 to train on, 6 to validate, 28 to test."""

SPLIT = (0.66, 0.06, 0.28)
SEED = 0
LABELS = 2
"""Labelled training fields in the regime of few labels."""

NOTES = (
    "Everything here is simulated tissue: the ladder shows that the method works and how it is accounted for,"
    " not what it brings on your images.",
    f"Chosen to be the regime in which distillation should matter most: {LABELS} labelled fields and 66 fields of which"
    " the teacher saw both channels. The row with all labels shows how little may be left when labels are plenty.",
    "The teacher was fitted on simulated fields of other seeds than these.",
)


def demo_settings(out: Path, *, at_once: int = 1) -> Distill:
    """Return the settings of the demo.

    Args:
        out: Folder for the simulated images and the run.
        at_once: How many students are trained side by side.
    """
    return Distill(
        data=out / "images",
        out=out / "run",
        label_sets=("cell",),
        label_kind="instances",
        split=SPLIT,
        split_seed=SEED,
        teacher="sam-tiny-tissue",
        teacher_channels=("nucleus", "membrane"),
        control="sam-tiny-tissue-control",
        student="unet-tiny",
        student_channels=("nucleus",),
        labels=LABELS,
        seeds=(0, 1, 2),
        all_labels=True,
        protocol=Protocol(
            steps=300, batch_size=4, crop=96, learning_rate=1e-2, ema=0.98, validations=5, labelled_share=0.5
        ),
        device="cpu",
        at_once=at_once,
    )


def demo(out: Path, *, at_once: int = 1, notice: Callable[[str], None] = lambda _: None) -> Finished:
    """Simulate tissue, run the main job on it, and return what it left.

    Args:
        out: New folder, or one in which an interrupted demo goes on.
        at_once: How many students are trained side by side.
        notice: Told what happens.
    """
    settings = demo_settings(out, at_once=at_once)
    notice(f"Simulating {FIELDS} fields of multiplexed tissue …")
    write_tissue(settings.data, count=FIELDS, seed=SEED, settings=TissueSettings())
    return distill(settings, notice=notice, notes=NOTES, simulated=True)
