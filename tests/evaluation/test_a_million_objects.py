"""A million objects are saved, read back and compared, in a process whose memory is measured."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, re, sys, time
from pathlib import Path
import numpy as np
from segdistill.data.labels import LabelSet, Structure, read_planes
from segdistill.data.writers import write_labels
from segdistill.evaluation.instances import match
from segdistill.evaluation.scores import score_case

began = time.perf_counter()
path = Path(sys.argv[1]) / "a.tif"
numbers = np.arange(1, 1_000_001, dtype=np.uint32).reshape(1000, 1000)
labels = np.kron(numbers, np.uint32([[1, 1, 0], [1, 1, 0], [0, 0, 0]]))
write_labels(path, labels)
read = read_planes(path, LabelSet("cell", "instances", ("cell",)))
moved = np.roll(read[0], 1, axis=0)  # each shares 2 of the 6 pixels of both
moved[:, : 3 * 500] = read[0][:, : 3 * 500]
found = match(moved, read[0])
rows = score_case(moved[None], read, [Structure("cell", True)], metrics=("dice", "ap50", "map", "f1", "pq"))
peak = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())
print(json.dumps({
    "equal": bool((read[0] == labels).all()),
    "counts": [found.n_prediction, found.n_label, len(found.iou)],
    "scores": {row["metric"]: row["value"] for row in rows},
    "kilobytes": int(peak[1]),
    "seconds": time.perf_counter() - began,
}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_million_objects_are_saved_read_and_scored_in_bounded_memory(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], check=True, stdout=subprocess.PIPE, text=True
    )
    found = json.loads(result.stdout)
    assert found["equal"]
    # Half of the objects lie where they are labelled, half share one row of two: IoU 2 / 6, no match.
    assert found["counts"] == [1_000_000, 1_000_000, 500_000]
    assert found["scores"] == pytest.approx({"dice": 3 / 4, "ap50": 1 / 3, "map": 1 / 3, "f1": 1 / 2, "pq": 1 / 2})
    assert found["kilobytes"] < 1_500_000
