"""Whether arms converge, and at which scale a teacher sees: two sections of the page of results."""

import json

from kept_results import by_name, cells, hela

from results_page.convergence import convergence_section, longer_runs
from results_page.scale import scale_section


def longer(dice, *, seeds=(0,), **more):
    result = hela(1, seeds=seeds, dice=dice, **more)
    return type(result)("livecell_steps_800/resnet18_fold1", result.content)


def test_arms_with_more_steps_by_hand():
    usual = hela(1, seeds=(0, 1), dice={"baseline": [[0.5]], "student": [[0.6]], "teacher": [[0.9]]})
    more = longer(
        {"baseline": [[0.55]], "student": [[0.58]], "teacher": [[0.92]]},
        seeds=(0,),
        **{"best steps": {"baseline/0": 700, "student/0": 300}},
    )
    parts = convergence_section(by_name(usual, more))
    rows = cells(parts[-1])
    assert rows["baseline"] == ["50.0", "55.0", "25.0", "27.5", "+5.0", "+2.5", "700"]
    assert rows["student"][4:] == ["−2.0", "−1.0", "300"]
    assert rows["teacher"][4:] == ["+2.0", "+1.0", "–"]
    assert "seeds 0: " in parts[1]


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
