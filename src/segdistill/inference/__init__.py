"""Running a student on images of any size, and making masks of what it says."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "BlockSegmenter": "blocks",
    "Options": "options",
    "Summary": "folder",
    "View": "windows",
    "measure_fast_halo": "halo",
    "measure_reach": "halo",
    "predict": "api",
    "predict_files": "folder",
    "predict_maps": "windows",
    "segment": "instances",
    "stream_maps": "windows",
    "tune_thresholds": "thresholds",
    "view_of": "windows",
    "write_outlines": "outlines",
}
__getattr__ = lazy_exports(__name__, _WHERE)
