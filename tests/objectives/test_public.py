"""Public names are there, and importing the packages costs no torch."""

import subprocess
import sys

import pytest

from segdistill import objectives


@pytest.mark.parametrize("name", sorted(objectives._WHERE))
def test_every_public_name_is_there(name):
    assert getattr(objectives, name) is not None


def test_no_torch_is_needed_to_evaluate_or_to_measure_distances():
    code = (
        "import sys, segdistill.evaluation, segdistill.objectives, segdistill.objectives.distance,"
        " segdistill.objectives.standardise;"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
