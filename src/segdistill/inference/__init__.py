"""Running a student on images of any size, and making masks of what it says."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "BlockSegmenter": "blocks",
    "ExportCard": "export_card",
    "Options": "options",
    "Summary": "folder",
    "View": "windows",
    "load_model": "eager",
    "measure_fast_halo": "halo",
    "measure_halo": "halo",
    "measure_reach": "halo",
    "predict": "api",
    "predict_files": "folder",
    "predict_maps": "maps",
    "read_export": "export_card",
    "segment": "instances",
    "set_threads": "eager",
    "stream_maps": "maps",
    "torch_predictor": "eager",
    "tune_thresholds": "thresholds",
    "view_of": "windows",
    "weights_hash": "eager",
    "write_outlines": "outlines",
}
__getattr__ = lazy_exports(__name__, _WHERE)
