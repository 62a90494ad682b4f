"""Learning rates that fall from layer to layer: what an encoder knows changes least where it is most general."""

from torch import Tensor, nn

from segdistill.errors import ConfigError
from segdistill.networks.vit import DEPTHS, VitEncoder


def layer_factors(student: nn.Module, decay: float) -> dict[Tensor, float]:
    """Return by what the learning rate of each of a student's weights is multiplied.

    The decoder has 1, the encoder's last block the decay, the block before its square, and so on down to the
    patch embedding.

    Args:
        student: From ``build_student``.
        decay: From one layer to the one below it, above 0 to 1. At 1 every student has 1 throughout, of which
            nothing is returned.

    Raises:
        ConfigError: The student has no order of layers.

    Source:
        Clark et al. 2020, arXiv:2003.10555 (ELECTRA), appendix; Bao et al. 2022, arXiv:2106.08254 (BEiT), for
        vision transformers.
    """
    if decay == 1:
        return {}
    encoder = getattr(student, "encoder", None)
    if not isinstance(encoder, VitEncoder):
        raise ConfigError(
            f"layer_decay is {decay}, but only vit-tiny has layers that follow each other one by one; this student's"
            " encoder branches. Choose vit-tiny, or layer_decay 1."
        )
    own = {parameter: encoder.depth_of(name) for name, parameter in encoder.named_parameters()}
    return {
        parameter: decay ** (DEPTHS[-1] + 1 - own[parameter]) if parameter in own else 1.0
        for parameter in student.parameters()
    }
