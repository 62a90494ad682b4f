"""`segdistill synthesize`."""

from typing import Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.settings import Synthesize


def synthesize(*, config: Annotated[Synthesize, Parameter(name="*")]) -> None:
    """Fit a diffusion model on the training images of a data set, and draw images from it.

    Validation and test images, as `distill` will divide the data, are never shown to the model. What it draws may be
    learnt from like images without labels: name the folder with --transfer of `pretrain`. The same command goes on
    where an interrupted one stopped.
    """
    from segdistill import study

    made = study.synthesize(config, notice=say)
    print(*made.sentences, sep="\n")
    print(f"Images: {made.folder / 'images'}")
    print(f"Report: {made.page}")
    print(f"Use them: segdistill pretrain --data {config.data} --transfer {made.folder} ...")
