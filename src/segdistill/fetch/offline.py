"""Whether the network may be used at all."""

import os

VARIABLES = ("SEGDISTILL_OFFLINE", "HF_HUB_OFFLINE")
"""Either, set to 1, true, yes or on, says that it may not."""


def offline() -> str | None:
    """Return the environment variable that forbids the network; None where none does."""
    return next((name for name in VARIABLES if os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}), None)
