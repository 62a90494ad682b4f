"""Is there room on the disk for what a run will write?"""

import shutil
from pathlib import Path

from torch import nn

from segdistill.engine import best, checkpoint
from segdistill.engine.weights import trained_values
from segdistill.errors import EnvironmentFault

# A checkpoint holds weights, their average and AdamW's two moments. Two are kept while a third is written,
# and so are one set of best weights and its successor.
_SETS_OF_WEIGHTS = 3 * 4 + 2


def check_room(folder: Path, module: nn.Module) -> None:
    """Refuse to begin what would end with a full disk.

    Args:
        folder: The run's; what it already holds counts as room.
        module: What is trained.

    Raises:
        EnvironmentFault: There is less room than checkpoints and best weights will take.
    """
    weights = sum(value.numel() * value.element_size() for value in trained_values(module).values())
    own = [folder / name for name in (checkpoint.NEWEST, checkpoint.PREVIOUS, best.NAME)]
    needed = _SETS_OF_WEIGHTS * weights - sum(path.stat().st_size for path in own if path.exists())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentFault(
            f"{folder} needs {needed:,} bytes for checkpoints and the best weights, but {free:,} are free."
            " Make room, or choose a folder on another disk."
        )
