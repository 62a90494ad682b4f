"""A student for other runtimes: written, proved equal on real images, and timed."""

from segdistill.plugins import lazy_exports

_WHERE = {
    "Timed": "timing",
    "Exported": "job",
    "bench": "timing",
    "export": "job",
}
__getattr__ = lazy_exports(__name__, _WHERE)
