import math

import pytest
from engine_toy import plan
from hypothesis import given
from hypothesis import strategies as st

from segdistill.engine import Plan
from segdistill.errors import ConfigError


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("micro_batch", -1),
        ("learning_rate", 0.0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("warmup", 1.0),
        ("clip", 0.0),
        ("ema", 1.0),
        ("devices", 0),
        ("seed", -1),
        ("checkpoint_every", 0),
        ("validate_every", 0),
        ("log_every", 0),
        ("stop_after_bad", 0),
    ],
)
def test_a_setting_out_of_range_is_named(setting, value):
    with pytest.raises(ConfigError, match=f"^{setting} is .*must be"):
        plan(**{setting: value})


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        Plan(steps=0, batch_size=0, micro_batch=1, ema=-0.1)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == ["steps", "batch_size", "ema"]


def test_none_is_a_choice_where_the_documentation_says_so():
    chosen = plan(clip=None, validate_every=None, devices=None)
    assert (chosen.clip, chosen.validate_every, chosen.devices) == (None, None, None)


@given(st.integers(0, 5), st.integers(1, 5), st.sampled_from(["auto", "cpu"]))
def test_only_decisive_settings_differ(seed, every, device):
    base = plan(seed=0)
    other = plan(seed=seed, checkpoint_every=every, log_every=every, device=device)
    assert other.differences(base.decisive()) == ([] if seed == 0 else [f"seed was 0 and is now {seed}"])
