"""The paper's own numbers, on data that we do not have: quoted, and never mixed with ours."""

import numpy as np

from results_page.words import table
from segdistill.evaluation import ScoreTable, recovery
from segdistill.report import Spread
from segdistill.report.wording import as_percent

QUOTED = {
    "Swin-Tiny U-Net without distillation": Spread(mean=0.6531, sd=0.0135),
    "Swin-Tiny U-Net with distillation": Spread(mean=0.7836, sd=0.0144),
    "SAM, an oracle": Spread(mean=0.8912, sd=0.0121),
}
"""Dice on TissueNet. Source: arXiv:2606.00928, abstract and captions."""


def paper_section() -> list[str]:
    """Return what the paper states, and what follows from it by our definitions."""
    without, student, teacher = (float(score.mean or 0) for score in QUOTED.values())
    recovered = recovery(_one(student), _one(teacher)).value
    closed = (student - without) / (teacher - without)
    rows = [
        [name, f"{100 * float(score.mean or 0):.2f} ± {100 * float(score.sd or 0):.2f}"]
        for name, score in QUOTED.items()
    ]
    return [
        "Quoted from arXiv:2606.00928 (TissueNet). Other images, another teacher, other students: nothing here may be"
        " compared with the tables above.",
        table(["", "Dice %, as printed"], rows),
        f"By the definitions above that is a recovery of {as_percent(recovered)} %, and {as_percent(closed)} % of the"
        " gap closed; without the paper's scores by field, no interval can be given.",
    ]


def _one(score: float) -> ScoreTable:
    return ScoreTable((0,), ("TissueNet",), np.array([[score]]))
