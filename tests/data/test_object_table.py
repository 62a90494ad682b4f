import csv

import numpy as np
import pytest

from segdistill.data.measurements import Measurer
from segdistill.data.object_table import write_table

LABELS = np.array([[4, 4, 0, 9], [4, 0, 0, 9]])
IMAGE = np.array([[[1, 2, 50, 7], [6, 50, 50, 9]], [[10, 10, 0, 20], [10, 0, 0, 20]]])


def measured(labels=LABELS):
    measurer = Measurer(channels=2)
    measurer.add((slice(0, 2), slice(0, 4)), labels, IMAGE)
    return measurer.finish()


def rows(path, structures, **options):
    write_table(path, structures, channels=("DAPI", "=CD3"), **options)
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_in_pixels(tmp_path):
    first, second = rows(tmp_path / "a.csv", [("cell", measured())])
    assert list(first) == [
        *("structure", "label", "area_px", "equivalent_diameter_px", "eccentricity"),
        *("centroid_y_px", "centroid_x_px", "top_px", "left_px", "bottom_px", "right_px"),
        *("mean_DAPI", "min_DAPI", "max_DAPI", "std_DAPI", "mean_=CD3", "min_=CD3", "max_=CD3", "std_=CD3"),
    ]
    assert (first["structure"], first["label"], first["area_px"]) == ("cell", "4", "3")
    assert (first["mean_DAPI"], first["min_DAPI"], first["max_DAPI"]) == ("3", "1", "6")
    assert float(first["std_DAPI"]) == pytest.approx((14 / 3) ** 0.5)
    assert [second[f"{edge}_px"] for edge in ("top", "left", "bottom", "right")] == ["0", "3", "2", "4"]
    assert (second["centroid_y_px"], second["centroid_x_px"]) == ("1", "3.5")
    assert (second["mean_=CD3"], second["std_=CD3"]) == ("20", "0")


def test_in_micrometres_where_the_pixel_size_is_known(tmp_path):
    _, second = rows(tmp_path / "a.csv", [("cell", measured())], pixel_size=0.5)
    assert (second["area_um2"], second["centroid_y_um"], second["centroid_x_um"]) == ("0.5", "0.5", "1.75")
    assert float(second["equivalent_diameter_um"]) == pytest.approx((8 / np.pi) ** 0.5 / 2)
    assert second["right_px"] == "4"  # to cut the object out
    assert not [name for name in second if "area_px" in name or "centroid_y_px" in name]


def test_structures_follow_one_another_and_are_no_formula(tmp_path):
    found = rows(tmp_path / "a.csv", [("=cell", measured()), ("vessel", measured((LABELS > 0).astype(np.int64)))])
    assert [row["structure"] for row in found] == ["'=cell", "'=cell", "vessel"]


def test_without_objects_there_are_names_of_columns(tmp_path):
    nothing = measured(np.zeros_like(LABELS))
    assert rows(tmp_path / "a.csv", [("cell", nothing)]) == []
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").startswith("structure,label,area_px,")
