"""One student against specialists, as it stands on the page of results, and what it is trained on."""

import json

import numpy as np
import pytest
from kept_results import cells

from results_page.mixture import mixture_section


def scores(*values):
    own = np.array(values, dtype=float)
    fields = [f"f{place}" for place in range(own.shape[1])]
    seeds = list(range(len(own)))
    return {
        "dice": {"seeds": seeds, "fields": fields, "values": own.tolist()},
        "hd95": {"seeds": seeds, "fields": fields, "values": (own * 10).tolist()},
    }


@pytest.fixture
def path(tmp_path):
    content = {
        "student": "unet-mobilenetv3",
        "protocol": {"steps": 800},
        "longer": 4,
        "seeds": [0, 1],
        "images": {"vessels": {"train": 12, "validation": 2, "test": 6}, "lesions": {"train": 60, "test": 30}},
        "specialists": {
            "vessel": {"source": "vessels", **scores([0.5, 0.7], [0.5, 0.7])},
            "lesion": {"source": "lesions", **scores([0.4], [0.6])},
        },
        "generalist": {"vessel": scores([0.4, 0.5], [0.4, 0.5]), "lesion": scores([0.3], [0.5])},
        "generalist, longer": {"vessel": scores([0.6, 0.8], [0.6, 0.8]), "lesion": scores([0.3], [0.3])},
    }
    file = tmp_path / "mixture.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def test_losses_by_hand_the_worst_first(path):
    parts = mixture_section(path)
    rows = cells(parts[2])
    assert list(rows)[2:] == ["lesion", "vessel"]
    assert rows["vessel"][:5] == ["fundus images", "12", "17 %", "2", "60.0 ± 0.0"]
    assert rows["vessel"][5:9] == ["45.0 ± 0.0", "+15.0 (+10.0 to +20.0)", "70.0 ± 0.0", "−10.0 (−10.0 to −10.0)"]
    assert rows["lesion"][6] == "+10.0"  # of one field there is no interval
    assert rows["vessel"][9:] == ["6.0 ± 0.0", "4.5 ± 0.0", "7.0 ± 0.0"]
    assert "fundus images: 20; breast ultrasound: 90" in parts[1]


def test_what_was_not_run_says_how(tmp_path):
    assert mixture_section(tmp_path / "none.json")[1] == (
        "Not run yet. Command: `python experiments/mixture.py --data DATA --runs RUNS`."
    )


def test_an_image_becomes_one_grey_channel_bright_on_dark_with_a_mask_for_each_structure(tmp_path):
    from PIL import Image as Picture

    from mixture import Source, write_case
    from segdistill.data.datasets import read_dataset
    from segdistill.data.sample import read_sample

    data = tmp_path / "data"
    for kind in ("images", "labels"):
        (data / kind).mkdir(parents=True)
    pixels = np.full((40, 20), 220, np.uint8)
    pixels[10:20, 5:10] = 20  # dark on bright
    labels = np.zeros((40, 20), np.uint8)
    labels[10:20, 5:10] = 7
    Picture.fromarray(pixels).save(data / "images" / "a.png")
    Picture.fromarray(labels).save(data / "labels" / "a.png")
    source = Source("data", "instances", ("nucleus",), side=20)
    dataset = read_dataset(data, structure="nucleus", label_kind="instances")
    row = write_case(source, read_sample(dataset.cases[0], dataset), tmp_path / "out", "a")
    image, mask = (np.asarray(Picture.open(row[column])) for column in ("image", "label:nucleus"))
    assert image.shape == mask.shape == (20, 10)
    assert image[mask > 0].mean() > 200
    assert image[mask == 0].mean() < 50
    assert set(np.unique(mask)) == {0, 255}
