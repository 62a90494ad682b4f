"""The store of teacher targets: planned, filled once, verified, read by every student."""

from segdistill.targets.account import Estimate, Failure, Summary
from segdistill.targets.failures import named_cases, read_failures
from segdistill.targets.fill import fill_targets, plan_targets
from segdistill.targets.filling import Filling
from segdistill.targets.grid import resample_tokens
from segdistill.targets.header import Header, differences, new_header, read_header, store_folder
from segdistill.targets.quantise import load_maps, load_tokens
from segdistill.targets.record import Key
from segdistill.targets.statistics import token_moments
from segdistill.targets.store import TargetStore, create_store, image_key, open_store
from segdistill.targets.verify import Verification, verify_targets
from segdistill.targets.view import View, drawn_views

__all__ = [
    "Estimate",
    "Failure",
    "Filling",
    "Header",
    "Key",
    "Summary",
    "TargetStore",
    "Verification",
    "View",
    "create_store",
    "differences",
    "drawn_views",
    "fill_targets",
    "image_key",
    "load_maps",
    "load_tokens",
    "named_cases",
    "new_header",
    "open_store",
    "plan_targets",
    "read_failures",
    "read_header",
    "resample_tokens",
    "store_folder",
    "token_moments",
    "verify_targets",
]
