"""Real public data sets, where they lie beside the repository; the same layouts are tested without them elsewhere."""

from collections import Counter
from pathlib import Path

import pytest

from segdistill.data.datasets import read_dataset
from segdistill.data.duplicates import near_duplicate_groups
from segdistill.data.sample import read_sample
from segdistill.data.splits import equal_content
from segdistill.errors import ConfigError, DataError

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="there are no images in ../shared/data")

KINDS = {
    "bbbc038": (664, "instances"),
    "busi": (100, "binary"),
    "chase_db1": (8, "binary"),
    "drive": (20, "binary"),
    "livecell_phase": (13, "instances"),
    "mibi": (1, "instances"),
    "vectra": (1, "instances"),
}


@pytest.mark.parametrize("name", KINDS)
def test_folders_are_read_as_they_are(name):
    count, kind = KINDS[name]
    dataset = read_dataset(DATA / name)
    assert len(dataset.cases) == count
    assert [label_set.kind for label_set in dataset.label_sets] == [kind]
    sample = read_sample(dataset.cases[0], dataset)
    assert sample.known.all()
    assert sample.planes.shape[1:] == sample.image.array.shape[1:] == sample.counts.shape


def test_pixels_outside_the_field_of_view_do_not_count():
    dataset = read_dataset(DATA / "drive", structure="vessel")
    sample = read_sample(dataset.cases[0], dataset)
    assert 0.6 < sample.counts.mean() < 0.75  # a disc as wide as the image: about pi / 4 of it
    assert not sample.counts[0, 0]


def test_overlapping_organs_must_be_called_bits():
    names = {1: "right lung", 2: "left lung", 4: "cardiomediastinum", 8: "airways"}
    with pytest.raises(ConfigError, match=r"1, 2, 4, 5, 6, 8.*--label-kind"):
        read_dataset(DATA / "chest_organs")
    dataset = read_dataset(DATA / "chest_organs", label_kind="bits", value_names=names)
    sample = read_sample(dataset.cases[0], dataset)
    assert [structure.name for structure in dataset.structures] == list(names.values())
    assert sample.planes.any(axis=(1, 2)).all()
    assert (sample.planes.sum(axis=0) > 1).any()


def test_images_without_labels_are_a_data_set():
    dataset = read_dataset(DATA / "scportrait_unlabelled")
    assert (len(dataset.cases), dataset.structures) == (2, ())


def test_labels_of_two_experts_need_a_manifest(tmp_path):
    with pytest.raises(DataError, match=r"2 labels and 1 images, but no two of the same stem.*manifest"):
        read_dataset(DATA / "codex")
    field = DATA / "codex"
    (tmp_path / "codex.csv").write_text(
        "image,label:expert1,label:expert2\n"
        f"{field}/images/X003_Y004.ome.tif,{field}/labels/X003_Y004/expert1.tif,{field}/labels/X003_Y004/expert2.tif\n"
    )
    dataset = read_dataset(tmp_path / "codex.csv")
    sample = read_sample(dataset.cases[0], dataset)
    assert [structure.name for structure in dataset.structures] == ["expert1", "expert2"]
    assert [len(set(plane[plane > 0].tolist())) for plane in sample.planes] == [3431, 2094]


def test_the_same_pictures_under_two_names_are_found():
    # Two pairs of fields have the same pixels, though not the same labels.
    dataset = read_dataset(DATA / "livecell_phase")
    pairs = [("RAW40X_set1", "RAW40X_set4"), ("RAW40X_set2", "RAW40X_set5")]
    assert equal_content(dataset.cases) == pairs
    assert near_duplicate_groups(dataset.cases) == pairs


def test_known_near_duplicates_are_found_and_fundus_pictures_in_one_aperture_are_not():
    sizes = Counter(map(len, near_duplicate_groups(read_dataset(DATA / "busi").cases)))
    assert sizes == {2: 1, 3: 2, 4: 1}
    assert near_duplicate_groups(read_dataset(DATA / "drive").cases) == []
