"""Public data sets: where they come from, on what terms, and how their own layout becomes a manifest. No torch.

Nothing is renamed or converted in what was downloaded. Files that ``segdistill.data`` reads as they
are stay where they are; what it cannot read (arrays of many images, DICOM, one mask per nucleus,
polygons) is written anew beside the manifest.
"""

from segdistill.datasets.catalogue import ENTRIES, dataset_entry, fetch_dataset, write_manifests
from segdistill.datasets.entry import Entry, Part, Prepared, Row

__all__ = ["ENTRIES", "Entry", "Part", "Prepared", "Row", "dataset_entry", "fetch_dataset", "write_manifests"]
