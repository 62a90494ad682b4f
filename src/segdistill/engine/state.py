"""What changes from step to step, and therefore is all that a checkpoint holds."""

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from segdistill.engine.average import Average
from segdistill.engine.plan import Plan
from segdistill.engine.weights import load_values, trained_values
from segdistill.errors import ConfigError


@dataclass(kw_only=True)
class State:
    """The state of a run between two steps.

    Learning rate, sample order and random draws are functions of (seed, step): they are not here.
    """

    module: nn.Module
    optimizer: Optimizer
    average: Average
    scaler: GradScaler | None
    """Scales losses so that float16 gradients do not vanish; None in other precisions."""

    step: int = 0
    """Optimiser steps done."""

    bad: int = 0
    """How many of the last steps, in a row, were not finite."""

    def content(self, plan: Plan) -> dict[str, Any]:
        """Return all of it as tensors, numbers and dictionaries, with the settings that it follows from."""
        return {
            "plan": plan.decisive(),
            "step": self.step,
            "bad": self.bad,
            "module": trained_values(self.module),
            "average": self.average.values,
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
        }

    def restore(self, content: dict[str, Any], plan: Plan, *, source: str) -> None:
        """Become what ``content`` once returned.

        Args:
            content: On any device. Of a run that is settled there are the averaged weights alone.
            plan: The settings of this run.
            source: Where the content comes from, for messages.

        Raises:
            ConfigError: It came from other settings or another network; nothing has changed.
        """
        differences = plan.differences(content["plan"])
        if differences:
            raise ConfigError(
                f"{source} was begun with other settings: {', '.join(differences)}."
                " Use the old settings to go on with it, or choose another folder."
            )
        load_values(self.module, content.get("module", content["average"]), source=source)
        for name, value in self.average.values.items():
            value.copy_(content["average"][name])
        if "optimizer" in content:
            self._restore_optimizer(content, source)
        self.step, self.bad = content["step"], content["bad"]

    def _restore_optimizer(self, content: dict[str, Any], source: str) -> None:
        try:
            self.optimizer.load_state_dict(content["optimizer"])
        except ValueError as error:
            raise ConfigError(f"{source} was begun with other parameter groups: {error}.") from error
        if self.scaler is not None:
            self.scaler.load_state_dict(content["scaler"])
