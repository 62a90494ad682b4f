"""Write src/segdistill/networks/students.json: size, cost and reach of every student.

    python scripts/describe_students.py [NAME ...]

With names only these are measured again; the others keep what the file says.
"""

import json
import sys
from importlib.metadata import version

import torch

from segdistill.files import write_json
from segdistill.inference.halo import measure_reach
from segdistill.networks import BUILTIN, build_student, describe_student, students
from segdistill.networks.facts import CHANNELS, FACTS, LIMIT, OUTPUTS


def main(names: list[str]) -> int:
    """Measure students and write what they are; return 0."""
    known = json.loads(FACTS.read_text(encoding="utf-8"))["students"] if names else {}
    for name in names or students():
        facts = dict(describe_student(name, channels=CHANNELS, outputs=OUTPUTS))
        facts["gigamacs_per_megapixel"] = round(facts["gigamacs_per_megapixel"], 1)
        network = build_student(name, channels=CHANNELS, outputs=OUTPUTS).eval()
        facts["reach"] = measure_reach(network, channels=CHANNELS, limit=LIMIT)
        known[name] = facts
        print(name, facts, flush=True)
    made_with = {package: version(package) for package in ("timm", "segmentation-models-pytorch", "torch")}
    write_json(FACTS, {"made_with": made_with, "short": list(BUILTIN), "students": known})
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
