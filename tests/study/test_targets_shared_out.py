import numpy as np
import pytest

from segdistill.distribution import team_of
from segdistill.settings import Targets, validated
from segdistill.study.targets_job import check_targets, make_targets
from segdistill.study.targets_shared_out import together
from segdistill.targets import Summary, open_store
from segdistill.targets.account import Failure


def asked(data, out, **changes):
    usual = {
        "data": data,
        "out": out,
        "label_sets": ("cell",),
        "label_kind": "instances",
        "device": "cpu",
        "teacher": "sam-tiny-tissue",
        "teacher_channels": ("nucleus", "membrane"),
    }
    return validated(Targets, usual | changes)


def maps_in(stored):
    store = open_store(stored.folder)
    return {store.parameters(key)["case"]: store.maps(key) for key in store.keys()}  # noqa: SIM118


def test_a_team_stores_the_same_maps_though_a_worker_is_killed(tissue, tmp_path, cluster, given, kill_a_busy_worker):
    alone = make_targets(asked(tissue, tmp_path / "alone"))
    heard = []
    with team_of(1, cluster.scheduler_address) as team:
        together = make_targets(asked(tissue, tmp_path / "together"), team=team, notice=heard.append)
    assert (killed := kill_a_busy_worker())
    assert any(given[key] >= 2 for key in killed)  # done again
    assert (together.summary.made + together.summary.kept, together.summary.failed) == (8, ())
    assert heard[-1] == "8 of 8 parts of the images done"
    expected, found = maps_in(alone), maps_in(together)
    assert expected.keys() == found.keys()
    for case, maps in expected.items():
        for name in maps:
            np.testing.assert_array_equal(found[case][name], maps[name])
    assert check_targets(asked(tissue, tmp_path / "together")).sound


def part(**changes):
    usual = {
        "made": 1, "kept": 0, "remade": 0, "failed": (), "labels_read": 0, "seconds": 9.0, "error": 0.1, "cosine": 0.9,
        "mean_cosine": 0.95,
    }  # fmt: skip
    return Summary(**usual | changes)


def test_parts_add_up_by_hand():
    late, early = Failure("z", "no"), Failure("a", "no")
    whole = together(
        [
            part(made=3, remade=1, failed=(late,), labels_read=3, error=0.2),
            part(made=0, kept=1, failed=(early,), cosine=0.5, mean_cosine=0.75),
        ],
        seconds=4.0,
    )
    # mean cosine: (3 · 0.95 + 1 · 0.75) / 4
    assert (whole.made, whole.kept, whole.remade, whole.labels_read) == (3, 1, 1, 3)
    assert whole.failed == (early, late)
    assert (whole.seconds, whole.error, whole.cosine) == (4.0, 0.2, 0.5)
    assert whole.mean_cosine == pytest.approx(0.9)


def test_parts_of_which_nothing_was_made_have_a_mean():
    nothing = part(made=0, mean_cosine=1.0, cosine=1.0)
    assert together([nothing, nothing], seconds=1.0).mean_cosine == 1.0


def test_verifying_takes_one_process(tissue, tmp_path):
    with pytest.raises(ValueError, match="verify is done by one process"):
        asked(tissue, tmp_path, verify=True, workers=2)
    with pytest.raises(ValueError, match="name one of both"):
        asked(tissue, tmp_path, scheduler="tcp://head:8786", workers=2)
