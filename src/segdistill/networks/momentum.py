"""A vision transformer beside a slower copy of itself, for telling images from each other."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from segdistill.networks.vit import VitEncoder

_HIDDEN, _WIDTH = 512, 128


class Branch(nn.Module):
    """An encoder's class token, projected."""

    def __init__(self, encoder: VitEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.project = nn.Sequential(*_layers(encoder.model.embed_dim), *_layers(_HIDDEN), nn.Linear(_HIDDEN, _WIDTH))

    def forward(self, image: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d"]:
        """Return one vector per image."""
        return self.project(self.encoder.attend(self.encoder.embed(image)[0])[0])


class WithFollower(nn.Module):
    """A branch that learns, with a prediction behind it, and its follower, a moving mean of it that gives the keys.

    Note [The follower is made of buffers]: it is not learnt, but it must be where it was when a run goes on, and
    it must go back when a step is repeated. Both are what the engine does for buffers.

    Note [Layer norms for batch norms]: the published projections have batch norms. With them a key would depend on
    how a step is split into micro-batches and processes.

    The patch embedding keeps its random weights: that is what makes the training of transformers steady.

    Args:
        encoder: Learns; its patch embedding is frozen here.
        steps: Of the whole run.
        momentum: How much of the follower stays in each step at first, 0 to below 1; it rises to 1 along half a
            cosine.

    Source:
        Chen, Xie, He 2021, arXiv:2104.02057 (MoCo v3), sections 3 and 4.
    """

    followed: Int[Tensor, ""]

    def __init__(self, encoder: VitEncoder, *, steps: int, momentum: float) -> None:
        super().__init__()
        self.steps = steps
        self.momentum = momentum
        encoder.model.patch_embed.requires_grad_(False)
        self.branch = Branch(encoder)
        self.predict = nn.Sequential(*_layers(_WIDTH), nn.Linear(_HIDDEN, _WIDTH))
        self.learning = [name for name, value in self.branch.named_parameters() if value.requires_grad]
        for name in self.learning:
            self.register_buffer(_buffer(name), self.branch.get_parameter(name).detach().clone())
        self.register_buffer("followed", torch.zeros((), dtype=torch.long))

    @property
    def encoder(self) -> VitEncoder:
        """What is kept."""
        return self.branch.encoder

    def forward(
        self, images: tuple[Float[Tensor, "b c y x"], Float[Tensor, "b c y x"]], own: Int[Tensor, " m"], step: int
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return queries of some images, and keys of all, of both views.

        Args:
            images: Two views of every image of the step.
            own: Places of those images whose queries are wanted.
            step: Counted from 0; the follower makes one step for each.
        """
        self.follow(step)
        one, other = images
        return (self.query(one[own]), self.query(other[own])), (self.key(one), self.key(other))

    def query(self, image: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d"]:
        """Return what is compared with the keys."""
        return self.predict(self.branch(image))

    @torch.no_grad()
    def key(self, image: Float[Tensor, "b c y x"]) -> Float[Tensor, "b d"]:
        """Return what the follower makes of images."""
        return functional_call(self.branch, {name: self.get_buffer(_buffer(name)) for name in self.learning}, image)

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the follower towards the branch, unless it was for this step already."""
        if int(self.followed) >= step:
            return
        kept = momentum_at(step, steps=self.steps, first=self.momentum)
        for name in self.learning:
            self.get_buffer(_buffer(name)).lerp_(self.branch.get_parameter(name), 1 - kept)
        self.followed.fill_(step)


def momentum_at(step: int, *, steps: int, first: float) -> float:
    """Return how much of the follower stays in a step.

    >>> [round(momentum_at(step, steps=4, first=0.9), 3) for step in (0, 2, 4)]
    [0.9, 0.95, 1.0]
    """
    return 1 - 0.5 * (1 + math.cos(math.pi * step / steps)) * (1 - first)


def _buffer(name: str) -> str:
    return "follower_" + name.replace(".", "_")


def _layers(width: int) -> tuple[nn.Module, ...]:
    return nn.Linear(width, _HIDDEN), nn.LayerNorm(_HIDDEN), nn.GELU()
