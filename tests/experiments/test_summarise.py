"""The page of results, from small kept results whose numbers are worked out by hand."""

import doctest
import json
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from kept_results import FULL, by_name, cells, hela, kept, two_fields

import common
import demo
import summarise
from results_page import words
from results_page.agreement import agreement_section
from results_page.familiar import familiar_section
from results_page.hela import coverage, folds_of, hela_sections, shift_section
from results_page.paper import QUOTED, paper_section
from results_page.picture import ladder_picture
from results_page.readings import beside_of, order_of, reading
from results_page.sections import (
    account_table,
    by_kind,
    comparison_table,
    field_table,
    pooled_verdict,
    saved_line,
    seed_table,
)
from results_page.speed import benchmark_sections
from results_page.stored import Result, make_study, read_results
from segdistill.errors import ConfigError, DataError
from segdistill.files import write_json
from segdistill.settings import Distill, read_toml
from segdistill.study.account import Labels, make_account
from segdistill.study.verdict import verdict_on


def test_the_account_by_hand():
    # Student 0.7, teacher 0.9, baseline 0.5: recovery 0.7/0.9 = 78 %, gap closed 0.2/0.4 = 50 %.
    # The fields differ by 0.1 and 0.3, so resampled means of the gain run from 0.1 to 0.3, of the gap closed
    # from 0.1/0.4 to 0.3/0.4. sd over fields: 0.2/√2 = 14.1.
    rows = cells(account_table(make_study([two_fields()])))
    assert rows["baseline"][:4] == ["2", "50.0", "25.0", "0.0"]
    assert rows["student"] == [
        "4",
        "70.0",
        "35.0",
        "14.1",
        "78 % (67 to 89)",
        "50 % (25 to 75)",
        "+20.0 (+10.0 to +30.0; 2 of 2)",
    ]
    assert rows["teacher"] == ["4", "90.0", "45.0", "0.0", "–", "–", "–"]


def test_differences_by_hand():
    study = make_study([two_fields()])
    rows = cells(comparison_table(study, "ap50"))
    # Two fields: p is 2/4 at least. Differences 0.05 and 0.15: d_z is 0.1 over 0.1/√2.
    assert rows["student − baseline"][1:] == [
        *("+10.0", "+5.0 to +15.0", "2 of 2", "0.500", "0.500", "1.41", "–"),
        "none: the interval is clear, p is 0.500",
    ]
    assert "student − control" not in rows


def test_sections_of_one_experiment_are_one_family():
    # Six fields, the student better on all of them by other amounts: p is 2/64; of two students the question's 4/64.
    fields = tuple("abcdef")
    dice = {"baseline": [[0.5] * 6], "student": [[0.6, 0.61, 0.62, 0.63, 0.64, 0.65]], "teacher": [[0.9] * 6]}
    study = make_study([kept(dice, fields=fields)])
    alone = cells(comparison_table(study, "dice"))
    assert [alone["student − baseline"][place] for place in (4, 5, -1)] == ["0.031", "0.031", "clear"]
    beside = beside_of({"one": study, "other": study})["one"]
    table = comparison_table(study, "dice", beside=beside)
    assert cells(table)["student − baseline"][5] == "0.062"
    assert cells(table)["student − baseline"][-1] == "none: the interval is clear, p is 0.062"
    assert "corrected for 2 tests" in table


def test_labels_saved_by_hand():
    # The baseline has 0.5 with 1 + 1 labels and 0.7 with 3 + 1; the student 0.6, half-way: 2 + 1 do. It took 4.
    dice = {"baseline": [[0.5, 0.5]], "student": [[0.6, 0.6]], "all-labels": [[0.7, 0.7]], "teacher": [[0.9, 0.9]]}
    result = kept({**dice, "all-labels-student": [[0.7, 0.7]]}, fields=("a", "b"))
    assert saved_line(make_study([result])).startswith(
        "Labels saved, by equal Dice of the baselines, less all labels used: student −1 ("
    )
    assert "takes baselines of two budgets" in saved_line(make_study([two_fields()]))


def test_folds_have_one_verdict_together():
    study = make_study([hela(fold, dice={**FULL, "student": [[0.6 + fold / 100]]}) for fold in range(1, 6)])
    title, said = pooled_verdict(study)
    assert "5 folds together" in title
    assert "share training fields" in title
    assert said.startswith("> The data cannot tell whether distillation helped: ")
    assert "With 5 fields a paired test cannot give p below 0.062" in said
    assert pooled_verdict(make_study([hela(1)])) == []


def test_seeds_and_fields_by_hand():
    # Seeds 0.6 and 0.8 on one field, 0.5 and 0.5 on the other: over fields 0.55 and 0.65, mean 60.0, sd 0.1/√2 = 7.1.
    result = kept(
        {"baseline": [[0.4, 0.4], [0.4, 0.4]], "student": [[0.6, 0.5], [0.8, 0.5]], "teacher": [[0.9, 0.9]]},
        seeds=(0, 7),
        fields=("a", "b"),
    )
    study = make_study([result])
    by_seed = cells(seed_table(study, "dice"))
    assert by_seed["arm"] == ["seed 0", "seed 7", "mean ± sd over seeds"]
    assert by_seed["student"] == ["55.0", "65.0", "60.0 ± 7.1"]
    assert by_seed["teacher"] == ["frozen", "frozen", "90.0"]
    by_field = cells(field_table(study, "dice"))
    assert by_field["a"] == ["40.0 ± 0.0 (40.0 / 40.0)", "70.0 ± 14.1 (60.0 / 80.0)", "90.0"]
    assert by_field["mean ± sd over fields"] == ["40.0 ± 0.0", "60.0 ± 14.1", "90.0 ± 0.0"]


def test_where_the_order_fails_is_said_first():
    study = make_study([two_fields(student=((0.95, 0.6),))])
    order = order_of(study)
    assert (order.mean, order.fields, order.seeds, order.pairs) == (True, (1, 2), (1, 1), (1, 2))
    said = reading(study)
    assert said.startswith(
        "**The order baseline < student < teacher does not hold everywhere.** It fails on a with seed 0."
    )
    assert "on 1 of 2 fields (mean over seeds), with 1 of 1 seed (mean over fields), in 1 of 2 pairs" in said


def test_an_order_that_fails_in_the_mean_is_said_before_where_it_holds():
    said = reading(make_study([two_fields(student=((0.3, 0.6),))]))
    assert said.startswith(
        "**The order baseline < student < teacher does not hold in the mean** (baseline 50.0, student 45.0,"
    )
    assert "does not differ clearly: −5.0 points of Dice (95 % −20.0 to +10.0; better on 1 of 2 fields)" in said


def test_an_order_that_holds_is_said_to_hold():
    assert reading(make_study([two_fields()])).startswith("The order baseline < student < teacher holds in the mean")


def test_clear_losses_come_before_gains():
    result = kept(
        {"baseline": [[0.5, 0.5]], "student": [[0.6, 0.6]], "control": [[0.7, 0.7]], "teacher": [[0.9, 0.9]]},
        fields=("a", "b"),
    )
    said = reading(make_study([result]))
    assert said.index("**loses clearly**: −10.0 points of Dice") < said.index("gains clearly: +10.0 points of Dice")


def test_no_gap_no_share_of_it():
    study = make_study([two_fields(teacher=((0.4, 0.4),))])
    student = cells(account_table(study))["student"]
    assert student[5] == "not stated: the teacher does not score above the baseline (gap −0.100)"
    assert not order_of(study).mean


def test_one_field_and_one_seed_claim_nothing():
    study = make_study([kept(FULL)])
    student = cells(account_table(study))["student"]
    assert student[1] == "60.0"
    assert student[-1] == "+10.0 (none: one field; 1 of 1)"
    assert student[5] == "not stated: with one field no interval of the gap (0.400) can be given"
    assert cells(comparison_table(study, "dice"))["student − control"][-1] == "none: one field"
    said = reading(study)
    assert "one field (n = 1): a demonstration" in said
    assert "There is one seed" in said
    assert "clearly" not in said


def test_without_a_baseline_there_is_no_order():
    result = kept(
        {"student": [[0.6]], "all-labels": [[0.7]], "all-labels-student": [[0.75]], "teacher": [[0.8]]},
        labels=0,
        ap50=False,
    )
    study = make_study([result])
    assert order_of(study) is None
    assert study.metrics == ("dice",)
    assert reading(study).startswith(
        "The order baseline < student < teacher cannot be read here: baseline was not scored."
    )
    assert cells(comparison_table(study, "dice"))["student − all-labels"][1] == "−10.0"


def test_labels_of_an_unknown_number():
    result = kept(FULL)
    result.content["scores"]["student"]["labels"] = None
    assert cells(account_table(make_study([result])))["student"][0] == "not known"


def test_folds_are_joined_over_the_seeds_that_all_have():
    first, second = hela(1, seeds=(0, 1)), hela(2, dice={**FULL, "student": [[0.8]]})
    study = make_study([first, second])
    assert study.seeds == (0,)
    assert study.fields == ("HeLa1", "HeLa2")
    # (0.6 + 0.8) / 2 − 0.5 = 0.2
    assert study.account["student"].gain.mean == pytest.approx(0.2)
    text = "\n".join(hela_sections(folds_of(by_name(first, second)), {}))
    assert "Only seeds 0 are common to all fields" in text
    assert "--student unet-resnet18 --folds 1 2 --seeds 0 1`" in text
    assert "The folds share training fields" in text
    # 6 students of 2 seeds, 6 of one, 1.5 minutes each
    assert "27 minutes of training, 18 students" in text


def test_folds_without_a_common_seed_have_no_account():
    results = by_name(hela(1), hela(2, seeds=(5,)))
    assert make_study(list(results.values())) is None
    assert "No seed is common" in "\n".join(hela_sections(folds_of(results), {}))


def test_arms_that_only_some_folds_have_are_named():
    few = {arm: FULL[arm] for arm in ("baseline", "student", "teacher")}
    study = make_study([hela(1), hela(2, dice=few)])
    assert set(study.account) == set(few)
    assert set(study.left_out) == set(FULL) - set(few)


def test_coverage_counts_cells_and_names_the_missing():
    few = {arm: FULL[arm] for arm in ("baseline", "student", "teacher")}
    results = by_name(
        hela(1, seeds=(0, 1, 2)),
        hela(2, seeds=(0,)),
        hela(3, dice=few),
        hela(1, student="swin-tiny", dice=few),
        hela(2, student="swin-tiny", dice=few),
        hela(3, student="swin-tiny", dice=few),
        hela(4, student="mobilenetv3", dice=few),
    )
    text = coverage(folds_of(results))
    # 3 + 1 of resnet18's 15, 2 of swin-tiny's 2, 1 of mobilenetv3's 2, none of efficientnet-b0's 2.
    assert text.startswith("**7 of 21 compulsory cells are done; 14 are missing.**")
    rows = cells(text)
    assert rows["unet-resnet18"][1] == "4 of 15"
    assert "fold 2, seeds 1, 2" in rows["unet-resnet18"][2]
    assert "fold 3, seed 0 (control, targets-alone, all-labels, all-labels-student)" in rows["unet-resnet18"][2]
    assert rows["unet-swin-tiny"][1:3] == ["2 of 2", "nothing"]
    assert rows["unet-mobilenetv3"][1:3] == ["1 of 2", "1 field"]
    assert rows["unet-efficientnet-b0"][1:] == ["0 of 2", "2 fields", "–"]


def test_shift_by_hand():
    # Folds 0.4 and 0.6 with seed 0, 0.6 and 0.8 with seed 1: 0.5 and 0.7, so 60.0 ± 14.1.
    def shift(student):
        return {
            "baseline": {seed: {"3T3": {"dice": 0.5}} for seed in ("0", "1")},
            "student": {seed: {"3T3": {"dice": score}} for seed, score in zip(("0", "1"), student, strict=True)},
        }

    text = "\n".join(shift_section([hela(1, shift=shift((0.4, 0.6))), hela(2, shift=shift((0.6, 0.8)))]))
    rows = cells(text)
    assert rows["student"] == ["60.0 ± 14.1"]
    assert rows["baseline"] == ["50.0 ± 0.0"]
    assert "3T3 3 of 4" in text


def test_results_that_do_not_belong_together_are_refused():
    with pytest.raises(DataError, match="left out by two of the results"):
        make_study([hela(1), hela(1)])
    result = kept(FULL)
    del result.content["scores"]["control"]
    with pytest.raises(DataError, match="its settings ask for"):
        make_study([result])
    strange = kept(FULL)
    strange.content["settings"]["labels"] = -1
    with pytest.raises(ConfigError, match="labels"):
        make_study([strange])


def test_benchmarks_say_both_sides_and_whether_they_hold():
    machine = {"processor": "P", "system": "S", "threads": 2}
    parts = benchmark_sections(
        {
            "training_step": {
                "machine": machine,
                "seconds_without_teacher": 0.5,
                "seconds_with_stored_targets": 0.6,
                "ratio": 1.2,
                "wanted": 1.1,
            },
            "data_wait": {"machine": machine, "data_wait": 0.02, "images_per_s": 9.0, "wanted": 0.05},
            "start": {"machine": machine, "something": "else"},
            "large_image": {
                "machine": machine,
                "peak of the process, bytes": 10**9,
                "pixels, maps and mask in memory whole, bytes": 4 * 10**9,
                "wanted below, bytes": 2 * 10**9,
            },
            "objects": {
                "machine": machine,
                "StarDist, 8,000 objects, s": 100.0,
                "segdistill, 500,000 objects, s": 2.5,
                "segdistill, 500,000 objects, s of the core": 1.5,
                "wanted": {"seconds": 10},
            },
            "demo": {"machine": machine, "seconds": 330.0, "wanted": {"seconds": 300}},
            "own": {"machine": {}, "sizes": [1, 2]},
        }
    )
    rows = cells(parts[0])
    assert rows["training_step"][1:] == [
        "seconds_without_teacher 0.5; seconds_with_stored_targets 0.6",
        "1.2",
        "1.2",
        "≤ 1.1",
        "**no**",
        "P (S, 2 threads)",
    ]
    assert rows["data_wait"][3:6] == ["0.02", "≤ 0.05", "yes"]
    assert rows["start"][5] == "not kept"
    assert rows["large_image"][2:6] == ["0.25", "1,000,000,000", "≤ 2,000,000,000", "yes"]
    assert rows["objects"][2:6] == ["0.025", "2.5", "≤ 10", "yes"]
    assert rows["demo"][1:6] == ["seconds 330", "–", "330", "≤ 300", "**no**"]
    assert not any("Not run yet" in part for part in parts)
    assert "| sizes | [1, 2] |" in "\n".join(parts)


def test_the_papers_numbers_stand_apart(tmp_path):
    quoted = "\n".join(paper_section())
    # 78.36 / 89.12 = 87.9 %; (78.36 − 65.31) / (89.12 − 65.31) = 54.8 %
    for text in ("65.31 ± 1.35", "78.36 ± 1.44", "89.12 ± 1.21", "87.9 %", "54.8 %"):
        assert text in quoted
    page, _ = summarise.make_page({}, tmp_path, tmp_path)
    ours, _, papers = page.partition("## The paper's own, on other data")
    assert "89.12" in papers
    assert "89.12" not in ours


@pytest.mark.parametrize("name", ["study_p1", "study_p1_to_bbbc038"])
def test_the_papers_numbers_in_the_examples_are_those_of_the_page(name):
    told = {
        each["what"]: each["printed"] for each in read_toml(summarise.ROOT / "examples" / f"{name}.toml")["references"]
    }
    for what, score in QUOTED.items():
        assert told[what] == f"{100 * score.mean:.2f} ± {100 * score.sd:.2f}"


def test_alarms_by_hand(tmp_path):
    content = {
        "student": "unet-tiny",
        "fields": {"train": 9, "test": 9},
        "steps": 100,
        "kin": "own, held out",
        "alarms": {
            "own, held out": {"images": 40, "unlike": 1, "look": 1, "features": 0},
            "other": {"images": 8, "unlike": 6, "look": 2, "features": 6},
            "blank": {"images": 0, "unlike": 0, "look": 0, "features": 0},
        },
        "machine": {"processor": "A processor"},
    }
    write_json(tmp_path / "familiarity.json", content)
    text, counted = familiar_section(tmp_path / "familiarity.json", command="make it")
    assert "unet-tiny, 100 steps on 9 images" in text
    assert cells(counted)["own, held out (the same kind)"] == ["40", "1", "2 %", "1", "0"]
    assert cells(counted)["other"] == ["8", "6", "75 %", "2", "6"]
    assert "blank" not in counted
    assert familiar_section(tmp_path / "none.json", command="make it") == ["Not run yet. Command: `make it`."]


def test_a_page_of_nothing_says_what_is_missing(tmp_path):
    page, pictures = summarise.make_page({}, tmp_path / "none", tmp_path / "none")
    assert pictures == {}
    for name in summarise.EXPERIMENTS:
        assert f"Not run yet: there is no `experiments/results/{name}.json`" in page
    assert "**0 of 21 compulsory cells are done; 21 are missing.**" in page
    assert "Not run yet: `benchmarks/training_step.py`" in page


def write_all(folder):
    for result in (
        kept(FULL, name="demo", resumed=False),
        hela(1),
        hela(2),
        kept(FULL, name="tissue/mibi"),
        kept(FULL, name="extra/own"),
    ):
        write_json(folder / f"{result.name}.json", result.content)
    scores = {"seed_of_tissue": 99, "by_rate": {"0.001": 0.75}, "by_arm": {"0.01": {"baseline": 0.5}}}
    write_json(folder / "demo_tuning.json", scores)


def test_the_whole_page(tmp_path):
    write_all(tmp_path / "kept")
    out = tmp_path / "docs" / "results.md"
    summarise.write_page(tmp_path / "kept", tmp_path / "none", out)
    page = out.read_text(encoding="utf-8")
    for name in ("demo.svg", "livecell_phase_resnet18.svg", "tissue_mibi.svg", "extra_own.svg"):
        assert f"(results/{name})" in page
        ElementTree.fromstring((out.parent / "results" / name).read_text(encoding="utf-8"))  # noqa: S314  (our own)
    assert "`python experiments/tissue.py --data DATA --runs RUNS --seeds 0`" in page
    assert "> livecell_phase/resnet18_fold1: A kept sentence. And another." in page
    assert "9 minutes of training, 6 students; 1.0 minutes from beginning to end" in page
    assert "seed of tissue 99" in page
    assert "| 0.001 | 75.0 |" in page
    assert "| 0.01 | 50.0 |" in page
    summarise.write_page(tmp_path / "kept", tmp_path / "none", out)
    assert out.read_text(encoding="utf-8") == page


def test_a_picture_has_a_row_per_arm_and_a_dot_per_seed():
    picture = ElementTree.fromstring(ladder_picture(make_study([hela(1, seeds=(0, 1, 2))])))  # noqa: S314
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert set(FULL) <= set(texts)
    assert len(list(picture.iter("{http://www.w3.org/2000/svg}circle"))) == 6 * 3 + 1


def finished_job(folder):
    """A finished job as ``common.summary`` takes it: two seeds, two fields."""
    settings = Distill(
        data="d", out=folder, teacher="t", teacher_channels=("n", "m"), student_channels=("n",), labels=3, seeds=(0, 1)
    )
    scores = {"baseline": 0.5, "student": 0.6, "teacher": 0.9}
    records = [
        {"arm": arm, "seed": seed, "field": field, "structure": "cell", "metric": metric, "value": score, "empty": ""}
        for arm, score in scores.items()
        for metric in ("dice", "ap50", "iou")
        for seed in ((0,) if arm == "teacher" else (0, 1))
        for field in ("a", "b")
    ]
    labels = {"baseline": Labels(3, 1, 0), "student": Labels(3, 1, 10), "teacher": Labels(0, 0, 10)}
    account = make_account(records, settings.arms(), labels)
    arms = [
        {"arm": {"name": arm}, "seed": seed, "seconds": 30.0, "best_step": 7}
        for arm in ("baseline", "student")
        for seed in (0, 1)
    ]
    write_json(folder / "run.json", {"split": {"test": ["a", "b"]}, "student": {"parameters": 5}, "arms": arms})
    return settings, SimpleNamespace(folder=folder, account=account, verdict=verdict_on(account, simulated=False))


def test_what_the_experiments_keep_gives_the_same_account(tmp_path):
    settings, finished = finished_job(tmp_path / "run")
    write_json(tmp_path / "kept" / "some.json", common.summary(settings, finished))
    study = make_study([read_results(tmp_path / "kept")["some"]])
    for name, arm in finished.account.items():
        assert (study.account[name].recovery, study.account[name].gap, study.account[name].gain) == (
            arm.recovery,
            arm.gap,
            arm.gain,
        )
        assert study.labels[name] == (arm.labels.total,)


def test_the_demo_is_kept(tmp_path, monkeypatch, capsys):
    settings, finished = finished_job(tmp_path / "run")
    monkeypatch.setattr(demo, "RESULTS", tmp_path / "kept")
    monkeypatch.setattr(demo, "demo", lambda _, **__: finished)
    monkeypatch.setattr(demo, "demo_settings", lambda _: settings)
    monkeypatch.setattr("sys.argv", ["demo.py", "--runs", str(tmp_path / "runs")])
    demo.main()
    content = json.loads((tmp_path / "kept" / "demo.json").read_text("utf-8"))
    assert content["resumed"] is False
    assert content["verdict"]["sentences"][0] in capsys.readouterr().out
    assert make_study([read_results(tmp_path / "kept")["demo"]]).account["student"].gain.mean == pytest.approx(0.1)


def test_the_examples_in_words_are_true():
    assert doctest.testmod(words).failed == 0


def test_experts_who_agree_less_than_a_tool_does_with_them_are_no_ceiling(tmp_path):
    def scores(value):
        return dict.fromkeys(("dice", "ap50", "f1", "pq"), value)

    against = {
        "one": {"two": scores(0.4), "good": scores(0.5), "bad": scores(0.1)},
        "two": {"one": scores(0.4), "good": scores(0.3), "bad": scores(0.1)},
    }
    cells_of = {"one": 1200, "two": 9, "good": 10, "bad": 1}
    write_json(tmp_path / "experts.json", {"against": against, "cells": cells_of})
    text, counted = agreement_section(tmp_path / "experts.json", command="make it")
    assert "agree with each other to 40.0 % Dice and 40.0 % AP@0.5" in text
    assert "Above that in AP@0.5 against one: good." in text
    assert "against two" not in text
    assert cells(counted)["one"] == ["1,200", *[""] * 4, *["40.0"] * 4]
    assert cells(counted)["good"] == ["10", *["50.0"] * 4, *["30.0"] * 4]
    assert agreement_section(tmp_path / "none.json", command="make it") == ["Not run yet. Command: `make it`."]


def test_scores_are_told_by_modality_where_it_was_kept():
    result = kept(
        {"baseline": [[0.5, 0.7, 0.1]], "student": [[0.6, 0.8, 0.3]]} | {"teacher": [[0.9, 0.9, 0.5]]},
        fields=("a", "b", "c"),
    )
    assert by_kind(make_study([result])) == []
    kinds = {"a": "fluorescence", "b": "fluorescence", "c": "stained"}
    told = Result(result.name, {**result.content, "modality": kinds})
    title, text = by_kind(make_study([told]))
    rows = [line.split(" | ") for line in text.splitlines()]
    assert title.startswith("**By modality")
    assert rows[2] == ["| fluorescence", "Dice", "2", "60.0", "70.0", "90.0 |"]
    assert [row[:3] for row in rows[3:]] == [
        ["| fluorescence", "AP@0.5", "2"],
        ["| stained", "Dice", "1"],
        ["| stained", "AP@0.5", "1"],
    ]
