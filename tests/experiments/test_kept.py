from common import is_kept
from segdistill.settings import Distill


def asked(**changes):
    usual = {"data": "tissue", "out": "run", "teacher": "fit:unet-tiny", "teacher_channels": ("nucleus", "membrane")}
    return Distill(**usual | {"student_channels": ("nucleus",), "seeds": (0, 1)} | changes)


def test_a_result_is_done_again_only_for_arms_and_seeds_that_it_lacks():
    content = {"scores": {"baseline": {}, "student": {}, "teacher": {}}, "settings": {"seeds": [0, 1, 2]}}
    assert is_kept(content, asked())
    assert not is_kept(content, asked(seeds=(0, 3)))
    assert not is_kept(content, asked(all_labels=True, labels=2))
