"""Check that the built wheel holds every file of the package, and that it runs from there.

    python scripts/check_wheel.py [WHEEL]

It is installed without its dependencies into a temporary folder, away from the sources, and asked for its help and
for its students, which stand in a file that is packaged with it.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "segdistill"
USE = """
import sys
from pathlib import Path
import segdistill
from segdistill.cli import status
if not Path(segdistill.__file__).is_relative_to(sys.argv[1]):
    sys.exit(f"This is {segdistill.__file__}, not what was installed into {sys.argv[1]}.")
sys.exit(status(["--help"]) or status(["models"]))
"""


def main(wheels: list[str]) -> int:
    """Install the wheel and look at it; return 0, or 1 where something is missing or does not run."""
    (wheel,) = wheels or [str(path) for path in (ROOT / "dist").glob("*.whl")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        install = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target"]
        subprocess.run([sys.executable, *install, str(folder), wheel], check=True)
        missing = sorted(files(SOURCE) - files(folder / "segdistill"))
        for each in missing:
            print(f"{wheel} lacks {each}. Name its suffix in pyproject.toml, [tool.setuptools.package-data].")
        return int(bool(missing) or not runs(folder))


def files(package: Path) -> set[str]:
    """Return the files of a package, by their paths in it."""
    every = (path for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(package).as_posix() for path in every}


def runs(folder: Path) -> bool:
    """Return whether the package runs from a folder, and from nowhere else; say what it says where it does not."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", USE, str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
