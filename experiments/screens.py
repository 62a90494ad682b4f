"""Take pictures of the first screens of the experiments' reports, for docs/results/, with a headless Chromium.

What a person sees first at 1280 × 800: verdict and ladder, none of the images, which may not be passed on.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

from common import PICTURES, RESULTS
from segdistill.files import whole_file

COLOURS = 256
"""Of a picture: text and plots need no more."""


def browser() -> str:
    """Return the name of a Chromium that is installed."""
    found = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
    if found is None:
        raise SystemExit("There is no Chromium here. On Debian: apt-get install chromium.")
    return found


def take(report: Path, picture: Path) -> None:
    """Take a picture of a page's first screen."""
    with tempfile.TemporaryDirectory() as place:
        taken = Path(place) / "screen.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,800"]
        shot = [browser(), *flags, f"--user-data-dir={place}/user", f"--screenshot={taken}", report.resolve().as_uri()]
        subprocess.run(shot, check=True, timeout=300, stderr=subprocess.DEVNULL)
        with Image.open(taken) as image, whole_file(picture) as partial:
            image.convert("RGB").quantize(COLOURS).save(partial, format="PNG", optimize=True)


def main() -> None:
    """Take a picture of every report whose result is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    given = parser.parse_args()
    for result in sorted(RESULTS.rglob("*.json")):
        name = result.relative_to(RESULTS).with_suffix("").as_posix()
        report = given.runs / name / "report.html"
        repeated = "_fold" in name and not name.endswith("_fold1")  # one of several folds shows what all look like
        if report.exists() and not repeated:
            picture = PICTURES / f"{name.replace('/', '_')}_screen.png"
            take(report, picture)
            print(f"{picture.name}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
