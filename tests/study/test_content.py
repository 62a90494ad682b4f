"""What the report is handed from the account."""

from segdistill.study.content import arm_row, comparison_rows, headlines, ladders

EVERY = {
    "baseline": 0.6,
    "student": 0.7,
    "control": 0.65,
    "targets-alone": 0.62,
    "baseline-12": 0.66,
    "all-labels": 0.72,
    "all-labels-student": 0.73,
    "teacher": 0.9,
}
SIZE = {"parameters": 10, "encoder_parameters": 5, "gigamacs_per_megapixel": 1.0}


def test_a_ladder_holds_one_budget_and_the_second_all_labels(account):
    few, every = ladders(account(EVERY), "3 labels")
    assert [rung.name for rung in few.rungs] == ["baseline", "student", "control", "targets-alone", "teacher"]
    assert (few.baseline, few.student, few.teacher) == ("baseline", "student", "teacher")
    assert [rung.name for rung in every.rungs] == ["all-labels", "all-labels-student", "teacher"]
    assert (every.baseline, every.student) == ("all-labels", "all-labels-student")
    (alone,) = ladders(account({"student": 0.7}), "3 labels")
    assert (alone.baseline, alone.student, alone.teacher) == (None, "student", None)


def test_labels_saved_are_a_headline_only_where_they_are_known(account):
    labels = [headline.label for headline in headlines(account(EVERY, seen=2)["student"])]
    assert "labels saved" in labels
    assert labels.index("labelled images used") < labels.index("labels saved")
    labels = [headline.label for headline in headlines(account(EVERY, seen=None)["student"])]
    assert "labels saved" not in labels


def test_labels_saved_of_one_field_are_no_headline(account):
    labels = [headline.label for headline in headlines(account(EVERY, seen=2, fields=1)["student"])]
    assert "labels saved" not in labels


def test_every_metric_is_a_family_with_the_question_first(account):
    rows = comparison_rows(account(EVERY, metrics=("dice", "ap50", "f1")))
    assert list(dict.fromkeys(row.metric for row in rows)) == ["Dice", "AP@0.5"]
    first = rows[0]
    assert (first.first, first.second, first.claim, first.fields, first.seeds) == (
        "student",
        "baseline",
        "better",
        8,
        5,
    )
    assert first.p < first.holm
    assert first.ends[0] < first.difference < first.ends[1]
    assert first.effect_ends[0] < first.effect < first.effect_ends[1]
    assert next(row for row in rows if row.first == "student" and row.second == "all-labels").claim in ("none", "worse")


def test_an_arm_has_its_ratios_with_intervals_and_no_length_among_its_percents(account):
    found = account(EVERY, metrics=("dice", "hd95"))
    for arm in found.values():
        lengths = arm.tables["hd95"]
        object.__setattr__(lengths, "unit", "px")
    row = arm_row(found["student"], [], SIZE)
    assert list(row.scores) == ["dice"]
    assert row.recovery_ends[0] < row.recovery < row.recovery_ends[1]
    assert row.gap_closed_ends[0] < row.gap_closed < row.gap_closed_ends[1]
    assert "interval" in row.labels_saved
    assert arm_row(found["teacher"], [], SIZE).labels_saved == ""


def test_how_the_teacher_was_asked_is_said_in_its_rows_alone(account):
    found, asked = account(EVERY), {"teacher": "prompting grid"}
    for ladder in ladders(found, "3 labels", asked=asked):
        assert [rung.name for rung in ladder.rungs if rung.description.endswith(", prompting grid")] == ["teacher"]
    assert arm_row(found["teacher"], [], SIZE, asked=asked).setting == "0 labels, prompting grid"
    assert arm_row(found["student"], [], SIZE, asked=asked).setting == "3 labels"
    assert arm_row(found["teacher"], [], SIZE).setting == "0 labels"


def test_of_a_teacher_below_its_student_neither_recovery_nor_gap_is_told(account):
    found = account({"baseline": 0.1, "student": 0.5, "teacher": 0.2}, noise=0)
    (ladder,) = ladders(found, "3 labels")
    assert (ladder.recovery, ladder.gap_closed) == (None, None)
    assert ladder.note == "The teacher scores lower than student: recovery and gap say nothing here."
    labels = {headline.label for headline in headlines(found["student"])}
    assert not labels & {"recovery", "of the gap to the teacher closed"}
    below = headlines(account({"baseline": 0.1, "student": 0.5, "teacher": 0.6}, noise=0)["student"])
    assert {"recovery", "of the gap to the teacher closed"} <= {headline.label for headline in below}
