"""How often images are called unlike the training, by data set."""

import json
from pathlib import Path

from results_page.words import table
from segdistill.report.wording import as_share


def familiar_section(path: Path, *, command: str) -> list[str]:
    """Return how often images of the same kind and of others are called unlike.

    Args:
        path: What experiments/familiarity.py kept.
        command: Makes it.
    """
    if not path.exists():
        return [f"Not run yet. Command: `{command}`."]
    content = json.loads(path.read_text(encoding="utf-8"))
    kin = content["kin"]
    rows = [
        [
            f"{name} (the same kind)" if name == kin else name,
            str(own["images"]),
            str(own["unlike"]),
            as_share(own["unlike"] / own["images"]),
            str(own["look"]),
            str(own["features"]),
        ]
        for name, own in content["alarms"].items()
        if own["images"]
    ]
    trained = f", {content['steps']} steps on {content['fields']['train']} images" if "steps" in content else ""
    return [
        f"{content['student']}{trained}; images of one value are not judged, and pixel sizes not asked;"
        f" {content['machine']['processor']}. Alarms on the same kind are false; of the others some look alike indeed:"
        f" fluorescence is fluorescence, whatever was stained. Command: `{command}`.",
        table(["images", "shown", "called unlike", "share", "in their look", "in their features"], rows),
    ]
