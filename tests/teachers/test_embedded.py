"""The two teachers in the package, on fields that they never saw."""

import numpy as np
import pytest
from safetensors import safe_open

from segdistill.data.channels import select
from segdistill.data.image import Image
from segdistill.data.normalisation import measure_range, normalise
from segdistill.data.simulate import simulate_tissue
from segdistill.teachers import load_teacher
from segdistill.teachers.sam_build import _EMBEDDED_FOLDER, EMBEDDED
from segdistill.teachers.sam_card import read_card

FIELDS = range(5)


def dice(name):
    teacher = load_teacher(name)
    scores = []
    for seed in FIELDS:
        tissue = simulate_tissue(seed)
        image = Image(tissue.image, tissue.channels, tissue.pixel_size, "simulated")
        low, high = measure_range(image, teacher.contract.rule, names=teacher.contract.channels)
        pixels = select(image.array, image.channels, teacher.contract.channels, source="simulated")
        found = teacher.maps(normalise(pixels, low, high))[0] > 0.5
        wanted = tissue.cells > 0
        scores.append(2 * (found & wanted).sum() / (found.sum() + wanted.sum()))
    return float(np.mean(scores))


def test_the_teacher_knows_tissue_and_its_control_knows_less():
    full, control = (dice(name) for name in EMBEDDED)
    assert full > 0.92
    assert control < full - 0.05


@pytest.mark.parametrize("name", EMBEDDED)
def test_its_card_says_how_it_was_made_and_that_it_learnt(name):
    card = read_card(_EMBEDDED_FOLDER / f"{name}.safetensors")
    made = card.provenance
    assert card.labels_seen == made["fields"]["count"] == 200
    assert 1_000_000 <= made["fields"]["seed"] < made["held_out"]["seed"]  # the demo's are below
    for output in card.outputs if name == EMBEDDED[0] else card.outputs[:1]:  # the control cannot know boundaries
        after = made["held_out_dice"][output]
        assert after > made["held_out_dice_of_random_weights"][output]
        assert after > made["held_out_dice_of_a_probe_on_random_weights"][output]


def test_both_differ_in_nothing_but_what_they_see():
    full, control = (read_card(_EMBEDDED_FOLDER / f"{name}.safetensors") for name in EMBEDDED)
    assert full.config == control.config
    seconds = {"seconds": 0}
    assert full.provenance["training"] | seconds == control.provenance["training"] | seconds
    assert full.provenance["fields"] == control.provenance["fields"]
    assert (full.channels, control.channels) == (("blank", "nucleus", "membrane"), ("blank", "nucleus", "blank"))


@pytest.mark.parametrize("name", EMBEDDED)
def test_weights_are_half_precision_and_finite(name):
    with safe_open(_EMBEDDED_FOLDER / f"{name}.safetensors", framework="np") as file:
        arrays = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
    assert all(array.dtype == np.float16 and np.isfinite(array).all() for array in arrays)
    assert sum(array.size for array in arrays) == 739_231
