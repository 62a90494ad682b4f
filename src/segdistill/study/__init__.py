"""Arms and seeds, and the account of what distillation bought."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "Adapted": "adapt_job",
    "Agglomeration": "agglomerate_job",
    "Finished": "conclusion",
    "Pretrained": "pretrain_job",
    "Synthesized": "synthesis_job",
    "adapt": "adapt_job",
    "agglomerate": "agglomerate_job",
    "check_targets": "targets_job",
    "demo": "demonstration",
    "distill": "main_job",
    "conclude_study": "study_account",
    "headline": "conclusion",
    "make_account": "account",
    "make_targets": "targets_job",
    "pretrain": "pretrain_job",
    "study": "study_job",
    "study_headline": "study_account",
    "synthesize": "synthesis_job",
    "verdict_on": "verdict",
}
__getattr__ = lazy_exports(__name__, _WHERE)
