"""Write src/segdistill/networks/students.json: size and cost of every student, and reach of those with short names.

    python scripts/describe_students.py [NAME ...]

With names only these are measured again; the others keep what the file says.
"""

import json
import sys
from importlib.metadata import version

import torch
from torch import nn

from segdistill.files import write_json
from segdistill.networks import BUILTIN, build_student, describe_student, students
from segdistill.networks.facts import CHANNELS, FACTS, LIMIT, OUTPUTS

_BLOCK = 32
"""Width of the outputs whose gradient is taken: a stride of every student, so every alignment is met."""


def measure_reach(network: nn.Module) -> int | None:
    """Return how many pixels away an input can change an output; None beyond ``LIMIT``.

    The gradient of the outputs in the middle is zero outside the reach. Residual branches often begin
    at zero or at 1e-6 of their size; so that all paths count, as they do after training, every weight
    is moved a little, and precision is double.
    """
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    width = 2 * LIMIT + 2 * _BLOCK
    image = torch.rand(1, CHANNELS, 2 * _BLOCK, width, dtype=torch.float64).requires_grad_()
    first = width // 2 - _BLOCK // 2
    scores = network(image)[..., first : first + _BLOCK]
    (gradient,) = torch.autograd.grad(scores.square().sum(), image)
    seen = torch.where(gradient[0].abs().amax(dim=(0, 1)) > 0)[0]
    left, right = first - int(seen[0]), int(seen[-1]) - (first + _BLOCK - 1)
    return None if max(left, right) > LIMIT else max(left, right)


def main(names: list[str]) -> int:
    """Measure students and write what they are; return 0."""
    known = json.loads(FACTS.read_text(encoding="utf-8"))["students"] if names and FACTS.is_file() else {}
    for name in names or students():
        torch.manual_seed(0)
        facts = dict(describe_student(name, channels=CHANNELS, outputs=OUTPUTS))
        facts["gigamacs_per_megapixel"] = round(facts["gigamacs_per_megapixel"], 1)
        short = name in BUILTIN
        facts["reach"] = measure_reach(build_student(name, channels=CHANNELS, outputs=OUTPUTS)) if short else None
        known[name] = facts
        print(name, facts, flush=True)
    made_with = {package: version(package) for package in ("timm", "segmentation-models-pytorch", "torch")}
    write_json(FACTS, {"made_with": made_with, "short": list(BUILTIN), "students": known})
    return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main(sys.argv[1:]))
