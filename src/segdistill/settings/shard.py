"""Parts of a job for processes side by side, written k/n."""

import re
from typing import Annotated

from pydantic import AfterValidator


def _checked(shard: str) -> str:
    found = re.fullmatch(r"(\d+)/(\d+)", shard, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError("must be k/n, the k-th of n parts, such as 1/4 for the first of four")
    return shard


Shard = Annotated[str, AfterValidator(_checked)]
"""The k-th of n interleaved parts, k from 1."""


def part_of(shard: Shard) -> tuple[int, int]:
    """Return a shard as it is computed with: (k, n), k from 0.

    >>> part_of("1/4")
    (0, 4)
    """
    number, _, count = shard.partition("/")
    return int(number) - 1, int(count)
