"""What stands beside the probes of encoders."""

from pathlib import Path

import numpy as np

from segdistill.data.datasets import Dataset
from segdistill.data.image import Image
from segdistill.data.labels import LabelSet
from segdistill.data.sample import Sample
from segdistill.study.encoder_probe import nothing_found
from segdistill.study.preparation import Prepared


def prepared_of(shown, *, ignored=()):
    """Test images that show a lesion or do not; in some of them all of it is ignored."""
    samples = {}
    for name, there in shown.items():
        planes = np.full((1, 4, 5), int(there), np.int32)
        counts = np.ones((4, 5), bool)
        counts[:, : 4 if name in ignored else 0] = False
        planes[:, :, 4] = 0
        image = Image(np.zeros((1, 4, 5), np.uint8), ("grey",), None, name)
        samples[name] = Sample(name, image, planes, np.ones(1, bool), counts)
    dataset = Dataset((), (LabelSet("lesion", "binary", ("lesion",)),), None, None, Path())
    return Prepared(dataset, samples, {"train": (), "validation": (), "test": tuple(shown)}, {}, {}, ())


def test_whoever_finds_nothing_is_right_where_nothing_that_counts_is_shown():
    shown = {"a": True, "b": False, "c": True, "d": True}
    assert nothing_found(prepared_of(shown)) == {"lesion": 0.25, "score": 0.25}
    assert nothing_found(prepared_of(shown, ignored=("c",))) == {"lesion": 0.5, "score": 0.5}


def test_nothing_is_said_where_every_image_shows_something():
    assert nothing_found(prepared_of({"a": True, "b": True})) == {}
