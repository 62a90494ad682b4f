"""Making students: what is kept of a field, the objective, and one arm's training."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "Distilling": "distilling",
    "Drawing": "distilling",
    "Entry": "entries",
    "Fitted": "fit",
    "Objective": "objective",
    "Taught": "distilling",
    "entry_maps": "validation",
    "fit": "fit",
    "make_entry": "entries",
    "taught": "entries",
    "unlabelled": "entries",
}
__getattr__ = lazy_exports(__name__, _WHERE)
