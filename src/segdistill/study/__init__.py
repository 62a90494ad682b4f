"""Arms and seeds, and the account of what distillation bought."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "Finished": "distill",
    "demo": "demo",
    "distill": "distill",
    "headline": "distill",
    "make_account": "account",
    "verdict_on": "verdict",
}
__getattr__ = lazy_exports(__name__, _WHERE)
