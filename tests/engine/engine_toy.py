"""A problem of 100 weights for the engine's tests: images of 3 × 5 pixels, two terms, learnt weights s_i."""

import numpy as np
import torch
from torch import nn

from segdistill.engine.order import batch_indices, batch_slots
from segdistill.engine.plan import Plan
from segdistill.engine.reducer import weighted_mean


def plan(**settings) -> Plan:
    """Six samples a step, all at once, and everything else small; a line of the log at the end only."""
    usual = {
        "steps": 8,
        "batch_size": 6,
        "micro_batch": 6,
        "learning_rate": 0.02,
        "warmup": 0.25,
        "ema": 0.9,
        "device": "cpu",
        "seed": 3,
        "checkpoint_every": 3,
        "validate_every": 4,
        "log_every": 8,
    }
    return Plan(**{**usual, **settings})


class Net(nn.Module):
    """Two convolutions; batch normalisation and dropout on request; one log-variance per term."""

    def __init__(self, *, norm: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        generator_state = torch.get_rng_state()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1),
            nn.BatchNorm2d(6) if norm else nn.Identity(),
            nn.Tanh(),
            nn.Dropout(dropout),
            nn.Conv2d(6, 1, 1),
        )
        torch.set_rng_state(generator_state)
        self.s = nn.Parameter(torch.tensor([0.5, -0.5]))
        self.register_buffer("ballast", torch.zeros(0))

    def forward(self, image):
        return self.body(image)

    def scalars(self) -> dict[str, float]:
        return {"s_square": self.s[0].item(), "s_absolute": self.s[1].item()}


class Toy:
    """A regression whose pixels weigh unevenly; the second term knows a third of the images."""

    def __init__(self, *, batch: int = 6, length: int = 10, seed: int = 3, **net) -> None:
        self.module = Net(**net)
        self.size, self.length, self.seed = batch, length, seed
        draw = np.random.default_rng(0)
        self.images = draw.normal(size=(length, 1, 3, 5)).astype(np.float32)
        self.targets = np.tanh(self.images * 2 + 0.3)
        self.masks = (draw.random((length, 1, 3, 5)) < draw.random((length, 1, 1, 1))).astype(np.float32)

    def parameter_groups(self):
        return [
            {"params": list(self.module.body.parameters()), "weight_decay": 0.01},
            {"params": [self.module.s], "weight_decay": 0.0},
        ]

    def batch(self, step, rank, world):
        indices = batch_indices(step, batch=self.size, length=self.length, seed=self.seed)
        return [(int(indices[slot]), slot) for slot in batch_slots(self.size, rank=rank, world=world)]

    def collate(self, samples, step, device):
        noise = [np.random.default_rng((self.seed, step, slot)).normal(size=(1, 3, 5)) * 0.1 for _, slot in samples]
        which = [index for index, _ in samples]
        known = np.array([index % 3 == 0 for index in which], dtype=np.float32)[:, None, None, None]
        arrays = (self.images[which] + noise, self.targets[which], self.masks[which], self.masks[which] * known)
        return [torch.as_tensor(array, dtype=torch.float32, device=device) for array in arrays]

    def weights(self, batch):
        _, _, mask, known = batch
        return {"square": mask.sum(), "absolute": known.sum()}

    def terms(self, module, batch, totals):
        image, target, mask, known = batch
        difference = module(image) - target
        return {
            "square": weighted_mean(difference**2, mask, total=totals["square"]),
            "absolute": weighted_mean(difference.abs(), known, total=totals["absolute"]),
        }

    def combine(self, module, terms, share):
        return sum((-s).exp() * term + share * s / 2 for s, term in zip(module.s, terms.values(), strict=True))

    def names(self, samples):
        return [f"field_{index}.tif" for index, _ in samples]

    def validate(self, module, step):
        image, target = torch.as_tensor(self.images), torch.as_tensor(self.targets)
        return {"score": -(module(image) - target).square().mean().item(), "at": float(step)}


def values(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def assert_equal(one, other, at: str = "") -> None:
    """Every bit, in dictionaries and lists of tensors and plain values."""
    assert type(one) is type(other), at
    if isinstance(one, dict):
        assert one.keys() == other.keys(), at
        for name, value in one.items():
            assert_equal(value, other[name], f"{at}/{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), at
        for place, value in enumerate(one):
            assert_equal(value, other[place], f"{at}/{place}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), at
    else:
        assert one == other, at
