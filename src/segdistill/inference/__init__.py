"""Running a student on images of any size, and making masks of what it says."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "Summary": "folder",
    "measure_fast_halo": "halo",
    "measure_reach": "halo",
    "predict_files": "folder",
    "predict_maps": "windows",
    "segment": "instances",
    "segment_large": "blocks",
    "tune_thresholds": "thresholds",
}
__getattr__ = lazy_exports(__name__, _WHERE)
