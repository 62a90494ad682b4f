"""Distil large vision foundation models into small segmentation networks."""

__version__ = "0.1.0"
