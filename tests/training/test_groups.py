"""Which weights decay, and at what rate each learns."""

import pytest
import torch

from segdistill.errors import ConfigError
from segdistill.networks import build_student
from segdistill.networks.layer_rates import layer_factors
from segdistill.training.groups import parameter_groups


def test_each_layer_of_the_encoder_learns_slower_than_the_one_above():
    # 12 blocks: the last has decay, the first decay ** 12, patches and positions decay ** 13; the decoder has 1.
    student = build_student("vit-tiny", channels=1, outputs=1)
    factors = layer_factors(student, 0.5)
    model = student.encoder.model
    assert factors[student.network.head.weight] == factors[student.network.decoder[0][0].bias] == 1
    assert factors[model.norm.weight] == factors[model.blocks[11].mlp.fc2.weight] == 0.5
    assert factors[model.blocks[10].norm1.bias] == 0.25
    assert factors[model.blocks[0].attn.qkv.weight] == 0.5**12
    assert factors[model.patch_embed.proj.weight] == factors[model.pos_embed] == factors[model.cls_token] == 0.5**13
    assert len(factors) == len(list(student.parameters()))


def test_a_student_without_an_order_of_layers_is_refused_and_one_changes_nothing():
    student = build_student("unet-tiny", channels=1, outputs=1)
    assert layer_factors(student, 1.0) == {}
    with pytest.raises(ConfigError, match=r"layer_decay is 0\.75, but only vit-tiny"):
        layer_factors(student, 0.75)


def test_without_rates_there_are_the_two_groups_that_older_runs_have():
    matrix, bias, learned, frozen = (torch.zeros(shape, requires_grad=True) for shape in ((2, 3), 3, (2, 2), 4))
    frozen.requires_grad_(False)
    groups = parameter_groups([matrix, bias, frozen], weight_decay=0.1, undecayed=[learned])
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert [[id(p) for p in group["params"]] for group in groups] == [[id(matrix)], [id(bias), id(learned)]]
    assert all("lr" not in group for group in groups)


def test_weights_with_a_rate_of_their_own_have_it_and_still_decay():
    matrix, bias, other = (torch.zeros(shape, requires_grad=True) for shape in ((2, 3), 3, (4, 4)))
    groups = parameter_groups([matrix, bias, other], weight_decay=0.1, rates={matrix: 1e-3, bias: 1e-3})
    assert [(group.get("lr"), group["weight_decay"], len(group["params"])) for group in groups] == [
        (None, 0.1, 1),
        (None, 0.0, 0),
        (1e-3, 0.1, 1),
        (1e-3, 0.0, 1),
    ]
    optimiser = torch.optim.AdamW(groups, lr=1.0)
    assert [group["lr"] for group in optimiser.param_groups] == [1.0, 1.0, 1e-3, 1e-3]
