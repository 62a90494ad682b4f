"""Reading safetensors files, and refusing what could run code."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from segdistill.errors import DataError

_PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin"}
_SHOWN = 8


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, by name, on the CPU.

    Raises:
        DataError: There is no such file, it is damaged, or it is a pickle. A pickle is refused by
            its name, unopened: opening one can run any program.
    """
    refuse_pickle(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}. Give the path of a safetensors file.")
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise DataError(
            f"{path} ({path.stat().st_size:,} bytes) is not a whole safetensors file: {error}. Copy or make it again."
        ) from error


def refuse_pickle(path: Path) -> None:
    """Raise DataError if the name is that of a pickle, and show how to convert one.

    >>> refuse_pickle(Path("weights.safetensors"))
    """
    if path.suffix.lower() in _PICKLES:
        safe = path.with_suffix(".safetensors").name
        raise DataError(
            f"{path} is refused unopened: files of this kind ({path.suffix}) can run programs when they are read."
            " Wanted is safetensors. To convert a file of tensors, without running what it may contain:"
            ' python -c "import torch, safetensors.torch as s;'
            f" s.save_file(torch.load('{path.name}', weights_only=True), '{safe}')\""
        )


def unfitting(weights: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return, sorted, the names that only one of the two has, or whose shapes differ.

    >>> import torch
    >>> unfitting({"a": torch.zeros(2), "b": torch.zeros(3)}, {"a": torch.zeros(2), "b": torch.zeros(4)})
    ['b']
    """
    return sorted(
        name
        for name in weights.keys() | wanted.keys()
        if name not in weights or name not in wanted or weights[name].shape != wanted[name].shape
    )


def listed(names: Sequence[str]) -> str:
    """Return the names with commas, the first few if they are many.

    >>> listed(["a", "b"])
    'a, b'
    >>> listed([str(n) for n in range(10)])
    '0, 1, 2, 3, 4, 5, 6, 7 and 2 more'
    """
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
