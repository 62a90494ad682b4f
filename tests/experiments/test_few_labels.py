"""Ways of pre-training, as they stand on the page of results; and the images that are labelled."""

import csv
import json

import numpy as np
import pytest
from kept_results import cells

from results_page.few_labels import few_labels_section

COST = {"seconds": 90.0, "parameters": 5_524_416, "peak_bytes": 2_000_000_000, "gpu_peak_bytes": None}


def scores(*values):
    own = np.array(values, dtype=float)
    kept = {"seeds": list(range(len(own))), "fields": [f"f{place}" for place in range(own.shape[1])]}
    return {"dice": {**kept, "values": own.tolist()}, "hd95": {**kept, "values": (own * 10).tolist()}}


def content(budget, task):
    return {
        "data": "busi",
        "budget": budget,
        "student": "vit-tiny",
        "seeds": [0, 1],
        "base": {"made": 0.5, "random": 0.25},
        "drawn": {"size": 64, "kept": 190},
        "costs": {"adapt": COST, "mae-0": COST, "task-0": COST},
        "arms": {
            "scratch": scores([0.4, 0.5], [0.4, 0.5]),
            "mae-0": scores([0.5, 0.6], [0.5, 0.6]),
            "task-0": scores(task, task),
        },
    }


@pytest.fixture
def folder(tmp_path):
    for name, kept in {"busi_all": content(None, [0.4, 0.6]), "busi_10": content(10, [0.6, 0.8])}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(kept), encoding="utf-8")
    return tmp_path


def test_gains_by_hand_and_where_the_papers_order_fails(folder):
    parts = few_labels_section(folder)
    assert "Dice 50.0 % against 25.0 %" in parts[3]
    assert "with 10 labels the task-specific way is best;" in parts[4]
    assert "**with all labels it is not: hidden patches (MAE) is**" in parts[4]
    assert cells(parts[6])["hidden layers and predictions of the fitted SAM"] == ["70.0 ± 0.0", "50.0 ± 0.0"]
    gains = cells(parts[8])
    assert "from scratch" not in gains
    assert gains["hidden patches (MAE)"][0] == "+10.0 (+10.0 to +10.0; 2 of 2)"
    assert cells(parts[10])["from scratch"] == ["4.5 ± 0.0", "4.5 ± 0.0"]


def test_drawn_images_are_shown_where_there_is_a_picture(folder):
    assert not any("drawn.png" in part for part in few_labels_section(folder))
    shown = few_labels_section(folder, {"few_labels_busi_drawn.png", "few_labels_drive_drawn.png"})
    assert [part for part in shown if part.startswith("![")] == [
        "![Images that the diffusion model drew](results/few_labels_busi_drawn.png)"
    ]


def test_what_was_not_run_says_how(tmp_path):
    assert few_labels_section(tmp_path)[1] == (
        "Not run yet. Command: `python experiments/few_labels.py --data DATA --runs RUNS`."
    )


def test_smaller_budgets_are_part_of_larger_ones_and_no_other_label_is_lost(tmp_path, monkeypatch):
    import few_labels

    rows = [
        {"name": f"busi/{place}", "image": "i", "label:lesion": "l", "split": "train" if place < 8 else "test"}
        for place in range(12)
    ]
    monkeypatch.setattr(few_labels, "write_source", lambda *_: [dict(row) for row in rows])
    places = few_labels.Places("busi", tmp_path, tmp_path / "runs")

    def labelled(budget):
        with places.labelled(budget).open(encoding="utf-8", newline="") as handle:
            return {row["name"]: row["split"] for row in csv.DictReader(handle) if row["label:lesion"]}

    two, five, every = labelled(2), labelled(5), labelled(None)
    assert set(two) < set(five) < set(every) == {row["name"] for row in rows}
    assert [list(each.values()).count("train") for each in (two, five, every)] == [2, 5, 8]
    assert list(two.values()).count("test") == 4
