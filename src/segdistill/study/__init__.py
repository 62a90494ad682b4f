"""Arms and seeds, and the account of what distillation bought."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "Finished": "main_job",
    "check_targets": "targets_job",
    "demo": "demonstration",
    "distill": "main_job",
    "headline": "main_job",
    "make_account": "account",
    "make_targets": "targets_job",
    "verdict_on": "verdict",
}
__getattr__ = lazy_exports(__name__, _WHERE)
