"""Whether arms converge, and at which scale a teacher sees: two sections of the page of results."""

import json

from kept_results import by_name, cells, hela

from results_page.convergence import convergence_section, longer_runs
from results_page.scale import scale_section


def longer(dice, *, fold=1, seeds=(0,), **more):
    result = hela(fold, seeds=seeds, dice=dice, **more)
    result.content["settings"]["protocol"] |= {"steps": 4000, "precision": "bf16-mixed"}
    return type(result)(f"livecell_steps_800/resnet18_fold{fold}", result.content)


USUAL = {"baseline": [[0.5]], "student": [[0.6]], "teacher": [[0.9]]}


def test_arms_with_more_steps_by_hand():
    usual = hela(1, seeds=(0, 1), dice=USUAL)
    more = longer(
        {"baseline": [[0.55]], "student": [[0.58]], "teacher": [[0.92]]},
        seeds=(0,),
        **{"best steps": {"baseline/0": 700, "student/0": 300}},
    )
    parts = convergence_section(by_name(usual, more))
    rows = cells(parts[2])
    assert rows["baseline"] == ["50.0", "55.0", "25.0", "27.5", "+5.0", "+2.5", "700"]
    assert rows["student"][4:] == ["−2.0", "−1.0", "300"]
    assert rows["teacher"][4:] == ["+2.0", "+1.0", "–"]
    assert "1 field left out in turn (HeLa1), seeds 0: " in parts[1]
    told = "Student minus baseline, points of Dice: +10.0 with 2000 steps, +3.0 with 4000 steps in bfloat16."
    assert parts[3] == told
    assert parts[1].endswith("`python experiments/livecell.py --data DATA --runs RUNS --steps 4000 --bf16`.")


def test_fields_are_joined_and_only_the_seeds_of_all_count():
    usual = [hela(fold, seeds=(0, 1), dice=USUAL) for fold in (1, 2)]
    more = [
        longer(USUAL | {"student": [[0.7]]}, fold=1, seeds=(0, 1), **{"best steps": {"student/0": 800}}),
        longer(USUAL | {"student": [[0.9]]}, fold=2, seeds=(1,), **{"best steps": {"student/1": 500}}),
    ]
    parts = convergence_section(by_name(*usual, *more))
    assert len(parts) == 4
    assert cells(parts[2])["student"][:2] == ["60.0", "80.0"]
    assert cells(parts[2])["student"][-1] == "500"
    assert "2 fields left out in turn (HeLa1, HeLa2), seeds 1: " in parts[1]


def test_a_field_without_the_usual_run_is_passed_over():
    assert "Not run yet" in convergence_section(by_name(hela(1), longer(USUAL, fold=2)))[1]


def test_where_no_arm_had_more_steps_the_command_is_said():
    assert convergence_section(by_name(hela(1)))[1].startswith("Not run yet. Command: `python experiments/livecell.py")
    assert longer_runs(by_name(hela(1))) == {}


def test_scales_are_told_with_their_mean_first(tmp_path):
    path = tmp_path / "vessels_scale.json"
    by_image = {"one": {"as it is": 0.4, "at the scale of drive": 0.7}}
    content = {"factor": 0.566, "dice": {"as it is": 0.488, "at the scale of drive": 0.741}, "by image": by_image}
    path.write_text(json.dumps(content), encoding="utf-8")
    rows = cells(scale_section(path, command="make it")[-1])
    assert rows["mean over images"] == ["48.8", "74.1"]
    assert rows["one"] == ["40.0", "70.0"]
    assert "a factor of 0.57" in scale_section(path, command="make it")[1]
    assert scale_section(tmp_path / "none.json", command="make it")[1] == "Not run yet. Command: `make it`."
