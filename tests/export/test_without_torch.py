"""An exported model predicts in a process that never imports PyTorch."""

import subprocess
import sys

import numpy as np
import tifffile

from segdistill.inference import Options, predict

CODE = """
import sys, time
began = time.perf_counter()
import segdistill.inference.api, segdistill.inference.folder
print(f"import took {time.perf_counter() - began:.2f} s", file=sys.stderr)
import numpy as np
from segdistill.cli import status
from segdistill.inference import Options, predict
model, image, out, array = sys.argv[1:]
for backend in ("onnx", "openvino-fp32"):
    mask = predict(model, np.load(array), options=Options(backend=backend))["cell"]
    np.save(f"{array}.{backend}.npy", mask)
assert status(["predict", model, image, "--out", out]) == 0
assert "torch" not in sys.modules
"""


def test_an_array_and_a_file_are_segmented_without_torch(folder, exported, images, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 4000, (45, 70)).astype(np.uint16)
    np.save(tmp_path / "a.npy", pixels)
    words = [exported, images / "0.png", tmp_path / "masks", tmp_path / "a.npy"]
    done = subprocess.run([sys.executable, "-c", CODE, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stderr.splitlines()[0])
    wanted = predict(folder, pixels, options=Options(device="cpu"))["cell"]
    for backend in ("onnx", "openvino-fp32"):
        found = np.load(tmp_path / f"a.npy.{backend}.npy")
        assert np.count_nonzero((found > 0) != (wanted > 0)) <= 1  # rounding at a threshold
    assert tifffile.imread(tmp_path / "masks" / "0.tif").shape == (75, 110)
