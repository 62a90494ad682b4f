"""Recorded augmentation: one view per sample for image, labels and dense targets alike."""

from segdistill.augment.intensity import Jitter, jitter_intensity
from segdistill.augment.label_maps import inner_boundary, label_maps
from segdistill.augment.sampling import apply_views
from segdistill.augment.views import (
    View,
    Window,
    draw_views,
    pad_mirrored,
    pad_uncounted,
    window,
    window_side,
)

__all__ = [
    "Jitter",
    "View",
    "Window",
    "apply_views",
    "draw_views",
    "inner_boundary",
    "jitter_intensity",
    "label_maps",
    "pad_mirrored",
    "pad_uncounted",
    "window",
    "window_side",
]
