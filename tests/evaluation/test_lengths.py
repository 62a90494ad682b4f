import numpy as np

from segdistill.data.image import Image
from segdistill.data.image_writer import write_image
from segdistill.data.writers import write_labels
from segdistill.evaluation import find_lengths


def test_a_label_of_another_pixel_size_than_its_image_is_told(tmp_path):
    images = {}
    for name, size in (("a", 1.0), ("b", 0.251), ("c", None)):
        label = tmp_path / f"labels/{name}.tif"
        images[label] = tmp_path / f"images/{name}.tif"
        write_labels(label, np.eye(5, dtype=np.int64), pixel_size=size)
        write_image(images[label], Image(np.ones((1, 5, 5), np.uint8), ("DAPI",), 0.25, "a test"))
    found = find_lengths(list(images), pixel_size=None, tolerance=None, images=images)
    assert list(found.sizes.values()) == [1.0, 0.251, 0.25]
    (told,) = (note for note in found.notes if "another pixel size" in note)
    assert told.startswith("1 label of another pixel size than the image")
    assert f"{tmp_path / 'labels/a.tif'}: 1 µm, and its image 0.25" in told
    assert len(find_lengths(list(images)[1:], pixel_size=None, tolerance=None, images=images).notes) == 1
