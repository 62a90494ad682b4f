"""Images, labels, data sets: read, chosen by channel name, split, normalised, tiled, written, simulated. No torch.

``segdistill.data.survey`` and ``segdistill.data.rescale`` are used under their own names.
"""

from typing import TYPE_CHECKING

from segdistill.plugins import lazy_exports

if TYPE_CHECKING:
    from segdistill.data.case import Case, Split
    from segdistill.data.channels import check_names, select
    from segdistill.data.datasets import Dataset, read_dataset
    from segdistill.data.duplicates import joined_groups, near_duplicate_groups
    from segdistill.data.image import Image, ImageSource, Window
    from segdistill.data.label_kinds import infer_kind
    from segdistill.data.labels import (
        Kind,
        LabelSet,
        Structure,
        output_names,
        planes,
        read_labels,
        read_planes,
        structures_of,
    )
    from segdistill.data.normalisation import (
        FullRangeRule,
        PercentileRule,
        Rule,
        measure_range,
        normalise,
        rule_from_json,
        rule_to_json,
    )
    from segdistill.data.readers import Reader, open_image, read_image
    from segdistill.data.sample import Sample, read_sample
    from segdistill.data.simulate import Tissue, TissueSettings, simulate_tissue, write_tissue
    from segdistill.data.splits import equal_content, split_cases
    from segdistill.data.tiling import Tile, count_tiles, padded, tiles
    from segdistill.data.writers import write_labels, write_labels_tiled, write_probabilities, write_probabilities_tiled

__all__ = [
    "Case",
    "Dataset",
    "FullRangeRule",
    "Image",
    "ImageSource",
    "Kind",
    "LabelSet",
    "PercentileRule",
    "Reader",
    "Rule",
    "Sample",
    "Split",
    "Structure",
    "Tile",
    "Tissue",
    "TissueSettings",
    "Window",
    "check_names",
    "count_tiles",
    "equal_content",
    "infer_kind",
    "joined_groups",
    "measure_range",
    "near_duplicate_groups",
    "normalise",
    "open_image",
    "output_names",
    "padded",
    "planes",
    "read_dataset",
    "read_image",
    "read_labels",
    "read_planes",
    "read_sample",
    "rule_from_json",
    "rule_to_json",
    "select",
    "simulate_tissue",
    "split_cases",
    "structures_of",
    "tiles",
    "write_labels",
    "write_labels_tiled",
    "write_probabilities",
    "write_probabilities_tiled",
    "write_tissue",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Case": "case",
        "Dataset": "datasets",
        "FullRangeRule": "normalisation",
        "Image": "image",
        "ImageSource": "image",
        "Kind": "labels",
        "LabelSet": "labels",
        "PercentileRule": "normalisation",
        "Reader": "readers",
        "Rule": "normalisation",
        "Sample": "sample",
        "Split": "case",
        "Structure": "labels",
        "Tile": "tiling",
        "Tissue": "simulate",
        "TissueSettings": "simulate",
        "Window": "image",
        "check_names": "channels",
        "count_tiles": "tiling",
        "equal_content": "splits",
        "infer_kind": "label_kinds",
        "joined_groups": "duplicates",
        "measure_range": "normalisation",
        "near_duplicate_groups": "duplicates",
        "normalise": "normalisation",
        "open_image": "readers",
        "output_names": "labels",
        "padded": "tiling",
        "planes": "labels",
        "read_dataset": "datasets",
        "read_image": "readers",
        "read_labels": "labels",
        "read_planes": "labels",
        "read_sample": "sample",
        "rule_from_json": "normalisation",
        "rule_to_json": "normalisation",
        "select": "channels",
        "simulate_tissue": "simulate",
        "split_cases": "splits",
        "structures_of": "labels",
        "tiles": "tiling",
        "write_labels": "writers",
        "write_labels_tiled": "writers",
        "write_probabilities": "writers",
        "write_probabilities_tiled": "writers",
        "write_tissue": "simulate",
    },
)
