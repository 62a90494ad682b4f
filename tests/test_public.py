import subprocess
import sys

import segdistill

PUBLIC = {
    *("Distill", "Model", "ModelCard", "Protocol", "demo", "distill", "load_model", "load_teacher"),
    *("predict", "read_dataset", "read_image", "simulate_tissue", "__version__"),
}


def test_public_names_do_not_vanish():
    assert set(dir(segdistill)) == PUBLIC
    assert all(getattr(segdistill, name) is not None for name in PUBLIC)


def test_importing_loads_nothing_heavy_and_changes_nothing():
    code = """
import os, sys, threading
before = dict(os.environ), threading.active_count()
import segdistill, segdistill.settings, segdistill.cli, segdistill.networks, segdistill.teachers, segdistill.study
heavy = {"torch", "transformers", "timm", "lightning", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
assert before == (dict(os.environ), threading.active_count())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nothing_posix_only_is_imported():
    # A wheel that imports on Windows: fcntl and friends are imported only where they are used.
    code = """
import sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
import segdistill.settings, segdistill.cli.app, segdistill.study, segdistill.engine
import segdistill.inference, segdistill.data
from segdistill.cli import status
assert status(["--help"]) == 0
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
