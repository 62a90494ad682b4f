"""The embedded demo, run once more and kept, so that its ladder stands beside those of real images."""

import argparse
import time
from pathlib import Path

from common import RESULTS, summary
from segdistill.cli.demo import usual_at_once
from segdistill.files import write_json
from segdistill.study.demonstration import demo, demo_settings


def main() -> None:
    """Run the demo in a folder, or go on with one, and keep what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--at-once", type=int, default=usual_at_once(), help="students trained side by side")
    given = parser.parse_args()
    folder = given.runs / "demo"
    resumed = folder.exists()
    started = time.monotonic()
    finished = demo(folder, at_once=given.at_once, notice=lambda text: print(text, flush=True))
    took = {"seconds": round(time.monotonic() - started), "resumed": resumed, "at_once": given.at_once}
    write_json(RESULTS / "demo.json", summary(demo_settings(folder), finished) | took)
    print(" ".join(finished.verdict.sentences), flush=True)


if __name__ == "__main__":
    main()
