"""The embedded demo, run once more and kept, so that its ladder stands beside those of real images."""

import argparse
import time
from pathlib import Path

from common import RESULTS, summary
from segdistill.files import write_json
from segdistill.study.demonstration import demo, demo_settings


def main() -> None:
    """Run the demo in a folder, or go on with one, and keep what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    given = parser.parse_args()
    folder = given.runs / "demo"
    resumed = folder.exists()
    started = time.monotonic()
    finished = demo(folder, notice=lambda text: print(text, flush=True))
    took = {"seconds": round(time.monotonic() - started), "resumed": resumed}
    write_json(RESULTS / "demo.json", summary(demo_settings(folder), finished) | took)
    print(" ".join(finished.verdict.sentences), flush=True)


if __name__ == "__main__":
    main()
