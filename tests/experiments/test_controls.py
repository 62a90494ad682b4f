"""Every control and rival of P1 as it stands on the page of results."""

import json

from results_page.controls import WORDS, baseline_of, controls_section


def kept(**arms):
    def scores(values):
        return {"seeds": [0, 1], "fields": ["HeLa"], "values": [[value] for value in values]}

    return {
        "student": "unet-resnet18",
        "seeds": [0, 1],
        "steps": 400,
        "arms": {
            name.replace("_", "-"): {"role": "student", "labels": 7, "dice": scores(dice), "ap50": scores(ap)}
            for name, (dice, ap) in arms.items()
        },
    }


def test_what_was_not_run_says_how(tmp_path):
    assert controls_section(tmp_path / "none")[1].startswith("Not run yet. Command: `python experiments/livecell_contr")


def test_each_arm_stands_beside_the_baseline_of_its_labels_and_terms(tmp_path):
    first = kept(
        baseline_1=((0.5, 0.7), (0.2, 0.2)),
        baseline_no_boundary_1=((0.4, 0.4), (0.1, 0.1)),
        student_1=((0.7, 0.7), (0.1, 0.1)),
        student_no_boundary_1=((0.7, 0.7), (0.1, 0.1)),
    )
    second = kept(baseline_1=((0.8, 0.8), (0.2, 0.2)), student_1=((0.7, 0.7), (0.3, 0.3)))
    for number, content in enumerate((first, second), start=1):
        (tmp_path / f"fold{number}.json").write_text(json.dumps(content), encoding="utf-8")
    rows = {line.split(" | ")[0].strip("| "): line for line in controls_section(tmp_path)[2].splitlines()}
    assert "| 60.0 ± 14.1 | 80.0 ± 0.0 | – |" in rows["baseline-1"]
    assert "| 70.0 ± 0.0 | 70.0 ± 0.0 | +0.0 |" in rows["student-1"]  # +10 and −10
    assert "| 70.0 ± 0.0 | – | +30.0 |" in rows["student-no-boundary-1"]
    assert "no boundary term" in rows["student-no-boundary-1"]


def test_every_arm_of_the_plan_is_in_words():
    from livecell_controls import ARMS

    for arm in ARMS:
        name = arm["name"].replace("-no-boundary", "").replace("-fixed", "")
        assert name in WORDS
    assert baseline_of("baseline-no-boundary-1", {}) is None
