"""Making a finished run small: what only going on with it would take is dropped."""

from pathlib import Path

from segdistill.engine.checkpoint import PREVIOUS, load_checkpoint, save_checkpoint
from segdistill.engine.lock import held
from segdistill.engine.notice import unheard

_KEPT = ("plan", "step", "bad", "average")
"""The averaged weights stand in for the best ones, should those be damaged."""


def settle(folder: Path) -> None:
    """Drop a finished run's own weights, the optimiser's moments and the checkpoint before: four fifths of its bytes.

    ``train`` reads such a run back as before. In several processes the first alone calls this.

    Args:
        folder: Of a run that ``train`` returned from.

    Raises:
        DataError: No checkpoint in the folder is whole.
        EnvironmentFault: Another process uses the folder, or there was no room; then nothing has changed.
    """
    with held(folder):
        content = load_checkpoint(folder, notice=unheard)
        if content is not None and "optimizer" in content:
            save_checkpoint(folder, {name: content[name] for name in _KEPT})
        (folder / PREVIOUS).unlink(missing_ok=True)
