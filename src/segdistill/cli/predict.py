"""`segdistill predict`."""

import signal
from typing import Annotated

from cyclopts import Parameter

from segdistill.cli.app import say
from segdistill.cli.teams import asked_for
from segdistill.settings import Predict


def predict(config: Annotated[Predict, Parameter(name="*")]) -> int:
    """Segment images of any size, and clips, with a student.

    Each mask is whole or absent. The same command goes on where an interrupted one stopped; more images can
    be given later. The exit status is 1 if some images could not be segmented: failed.csv says why.
    """
    from segdistill.data.case import numbered
    from segdistill.inference import Options, predict_files

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's request ends like Ctrl-C, tidily
    options = Options(
        channels=config.channels,
        axes=config.axes,
        pattern=config.pattern,
        tile=config.tile,
        halo=config.halo,
        outputs=config.outputs,
        probabilities=config.probabilities,
        pixel_size=config.pixel_size,
        fill_non_finite=config.nan == "fill",
        fill_missing=config.fill_missing,
        private=config.private,
        device=config.device,
        backend=config.backend,
    )
    with asked_for(config) as team:
        summary = predict_files(config.model, config.images, config.out, options=options, team=team, notice=say)
    parts = [f"{numbered(len(summary.done), 'image')} segmented into {config.out}"]
    parts += [f"{len(summary.skipped)} done before"] if summary.skipped else []
    if summary.unlike:
        parts.append(
            f"{len(summary.unlike)} unlike the images that the model was trained on, look at their masks first"
        )
    parts += [f"{len(summary.failed)} failed, see {config.out / 'failed.csv'}"] if summary.failed else []
    say("; ".join(parts))
    return int(bool(summary.failed))
