"""`segdistill distill`."""

from typing import Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.settings import Distill


def distill(*, config: Annotated[Distill, Parameter(name="*")]) -> None:
    """Teach a small student, and say what the teacher bought.

    Trains the student and, to compare with, the same network without the teacher; then scores both
    on test images and writes the model, the scores and a report. The same command goes on where an
    interrupted one stopped.
    """
    from segdistill import study

    print(study.headline(study.distill(config, notice=say)))
