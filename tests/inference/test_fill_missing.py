import numpy as np
import tifffile
import zarr

from segdistill.inference import Options, predict_files

PLACES = ((20, 20), (20, 50))


def test_chunks_that_a_file_leaves_out_are_refused_or_empty(tmp_path, bright, discs):
    image = discs(80, 71, PLACES)
    image[40:] = 0
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="w", zarr_format=2)
    group.create_array("0", data=image, chunks=(40, 71))  # zarr leaves out the lower chunk: it is all zeros
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]
    group.attrs.update({"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]})
    images, model = [tmp_path / "a.ome.zarr"], bright("channel0")
    refused = predict_files(model, images, tmp_path / "refused", options=Options(device="cpu"))
    assert "--fill-missing" in next(iter(refused.failed.values()))
    options = Options(device="cpu", fill_missing=True)
    assert not predict_files(model, images, tmp_path / "filled", options=options).failed
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "filled" / "a.tif") > 0, image > 0)
