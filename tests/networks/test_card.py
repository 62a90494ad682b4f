import json
import subprocess
import sys

import pytest
from pydantic import ValidationError

from segdistill.errors import DataError
from segdistill.networks import ModelCard, read_card


def card(**changes):
    values = {
        "architecture": "unet-tiny",
        "channels": ("nucleus", "membrane"),
        "normalisation": {"rule": "percentile", "lower": 0.5, "upper": 99.5},
        "pixel_size": 0.5,
        "structures": ({"name": "cell", "instances": True}, {"name": "vessel", "instances": False}),
        "crop": 128,
        "thresholds": {"cell": {"foreground": 0.4, "seed": 0.6, "minimum_size": 5}},
        "teacher": "sam-vit-h",
        "licences": ("Apache-2.0",),
        "labels_used": 12,
        "provenance": {"seed": 3, "versions": {"torch": "2"}},
        "notes": ("Trained on <b>simulated</b> tissue | cells.",),
        "halo": {"exact": None, "fast": 48},
    }
    return ModelCard.model_validate({**values, **changes})


def written(folder, values):
    (folder / "model.json").write_text(json.dumps(values), encoding="utf-8")
    return folder


def test_a_card_comes_back_as_it_was_written(tmp_path):
    original = card()
    assert read_card(written(tmp_path, original.model_dump(mode="json"))) == original


def test_outputs_follow_the_structures():
    assert card().outputs == ("cell", "cell.boundary", "vessel")


def test_a_rule_is_written_out_in_full():
    rule = card(normalisation={"rule": "percentile"}).normalisation
    assert rule == {"rule": "percentile", "lower": 0.1, "upper": 99.9}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"normalisation": {"rule": "z-score"}}, "no normalisation rule"),
        ({"channels": ()}, "at least 1"),
        ({"channels": ("nucleus", "nucleus")}, "every channel needs its own name, but nucleus occurs twice"),
        ({"structures": ()}, "at least 1"),
        ({"pixel_size": 0.0}, "greater than 0"),
        ({"crop": 0}, "greater than 0"),
        ({"labels_used": -1}, "greater than or equal to 0"),
        ({"thresholds": {"cel": {"foreground": 0.5, "seed": 0.5, "minimum_size": 0}}}, "Did you mean 'cell'"),
        ({"thresholds": {"cell": {"foreground": 1.5, "seed": 0.5, "minimum_size": 0}}}, "less than 1"),
        ({"thresholds": {"cell": {"foreground": 0.5, "seed": 0.5}}}, "Field required"),
        ({"halo": {"exact": -1, "fast": 4}}, "greater than or equal to 0"),
        ({"halo": {"exact": 1, "fast": 4, "agreement": 1.1, "tile": 64}}, "less than or equal to 1"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        card(**changes)


def test_another_format_is_refused_before_anything_else(tmp_path):
    with pytest.raises(DataError, match="format 2, but this version of segdistill reads format 1"):
        read_card(written(tmp_path, {"format": 2, "arquitecture": "unknown"}))


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"format"', "\ufeff"])
def test_a_damaged_card_is_refused_by_name(tmp_path, text):
    (tmp_path / "model.json").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"model\.json"):
        read_card(tmp_path)


def test_everything_wrong_with_a_card_is_listed_with_the_nearest_name(tmp_path):
    values = card().model_dump(mode="json")
    values["chanels"] = values.pop("channels")
    values["crop"] = -1
    with pytest.raises(DataError) as refusal:
        read_card(written(tmp_path, values))
    message = str(refusal.value)
    assert "channels: Field required" in message
    assert "Did you mean 'channels'?" in message
    assert "crop: Input should be greater than 0" in message


def test_a_folder_without_card_is_no_model(tmp_path):
    with pytest.raises(DataError, match=r"is not a model: it has no model\.json"):
        read_card(tmp_path)


def test_cards_are_read_without_torch(tmp_path):
    written(tmp_path, card().model_dump(mode="json"))
    program = (
        "import sys; from pathlib import Path; from segdistill.networks import read_card;"
        f"print(read_card(Path({str(tmp_path)!r})).architecture, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["unet-tiny", "False"]
