"""How large things must appear to a teacher: its Dice on images as they are and at the scale that it was made for."""

import json
from pathlib import Path

from results_page.words import table


def scale_section(path: Path, *, command: str) -> list[str]:
    """Return the teacher's scores at both scales.

    Args:
        path: What experiments/vessels_scale.py kept.
        command: Makes it.
    """
    title = "**Why the teacher scores below its student: the scale of the test images**"
    if not path.exists():
        return [title, f"Not run yet. Command: `{command}`."]
    content = json.loads(path.read_text(encoding="utf-8"))
    scales = list(content["dice"])
    rows = [[name, *(f"{100 * row[scale]:.1f}" for scale in scales)] for name, row in content["by image"].items()]
    mean = ["mean over images", *(f"{100 * content['dice'][scale]:.1f}" for scale in scales)]
    return [
        title,
        "The teacher alone, Dice % of every image of `chase_db1`: as the image is, and brought to the width of those of"
        f" `drive` (a factor of {content['factor']:.2f}) with the answer brought back. The network was made at one"
        " scale; its students saw scales of 0.75 to 1.25 in training. Scores above are of images as they are. Command:"
        f" `{command}`.",
        table(["image", *scales], [mean, *rows]),
    ]
