"""Labels of cell and of nucleus, as TissueNet has them, and a teacher that describes cells alone."""

import base64
import csv
import json
import re

import pytest
from study_usual import TEACHERS, job, plan

from segdistill.data.labels import Structure
from segdistill.study.account import TEACHER
from segdistill.study.described import compared_structures, structures_in_words
from segdistill.study.main_job import distill
from segdistill.study.study_account import conclude_study
from segdistill.study.study_job import study

BOTH = {"label_sets": ("cell", "nucleus")}
SENTENCE = (
    "The teacher describes cell alone: verdict, ladder and comparisons are of cell. Students learn nucleus from labels"
    " alone; scores of that stand by structure."
)


@pytest.fixture(scope="module")
def told():
    return []


@pytest.fixture(scope="module")
def finished(tissue, tmp_path_factory, told):
    out = tmp_path_factory.mktemp("both") / "run"
    return distill(job(tissue, out, **BOTH, control="sam-tiny-tissue-control"), notice=told.append)


def rows_of(finished):
    with (finished.folder / "scores.csv").open(encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_the_teacher_is_scored_on_what_it_describes(finished):
    rows = rows_of(finished)
    assert {row["structure"] for row in rows if row["arm"] == TEACHER} == {"cell"}
    assert {row["structure"] for row in rows if row["arm"] == "student"} == {"cell", "nucleus"}
    assert finished.account["student"].recovery is not None


def test_student_and_teacher_are_compared_on_that_alone(finished):
    own = [
        float(row["value"])
        for row in rows_of(finished)
        if (row["arm"], row["structure"], row["metric"]) == ("student", "cell", "dice")
    ]
    assert finished.account["student"].tables["dice"].values.mean() == pytest.approx(sum(own) / len(own))


def test_it_is_said_in_the_terminal_and_on_page_one_and_the_other_structure_stands_by_itself(finished, told):
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert told.count(SENTENCE) == 1
    assert SENTENCE in page
    assert "sam-tiny-tissue does not describe nucleus: students learn that from labels alone." in told
    assert '<section id="structures"' in page or "by_structure.csv" in page


def test_the_gallery_shows_what_the_teacher_describes(finished):
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert "not handed in" not in page


def test_trust_is_measured_on_the_same_pixels_of_student_and_teacher(finished):
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    code = base64.b64decode(re.search(r'download="calibration.csv" href="data:[^,]+,([^"]+)"', page)[1])
    pixels = {}
    for row in csv.DictReader(code.decode("utf-8-sig").splitlines()):
        pixels[row["network"]] = pixels.get(row["network"], 0) + int(row["pixels"])
    assert len(pixels) == 3
    assert set(pixels.values()) == {2 * 48 * 64}  # two fields of cells; with nuclei it would be twice that


def test_what_channels_are_worth_to_the_teacher_is_told_of_what_it_describes(finished):
    kept = [json.loads(path.read_text("utf-8")) for path in finished.folder.rglob("channel_use.json")]
    assert [each["of"]["structures"] for each in kept] == [["cell"]]


def test_a_study_compares_on_it_too(tissue, tmp_path):
    settings = plan(tissue, tmp_path / "study", **BOTH, labels=(2,))
    done = conclude_study(settings, study(settings))
    account = done.students["unet-tiny"].account
    assert account[TEACHER].tables["dice"].values.shape[0] == 1
    assert account["student-2"].gap is not None


def test_structures_are_those_that_every_teacher_describes():
    cell, nucleus = Structure("cell", instances=True), Structure("nucleus", instances=True)
    both = ("cell", "cell.boundary", "nucleus", "nucleus.boundary")
    for outputs, expected in (
        ([both], (cell, nucleus)),
        ([both, both[:2]], (cell,)),
        ([both[:3]], (cell,)),  # a nucleus without its boundary is not described
        ([()], (cell, nucleus)),
        ([(), both[2:]], (nucleus,)),
        ([both[:2], both[2:]], (cell, nucleus)),  # nothing in common: each is scored on its own
        ([], (cell, nucleus)),
    ):
        assert compared_structures((cell, nucleus), outputs) == expected


CELL, NUCLEUS = Structure("cell", instances=False), Structure("nucleus", instances=False)


def test_words_follow_from_what_each_teacher_describes():
    for compared, outputs, expected in (
        ([CELL, NUCLEUS], {"a": ["cell", "nucleus"]}, None),
        ([CELL, NUCLEUS], {"a": []}, None),  # features alone
        ([CELL], {"a": ["cell"]}, SENTENCE),
        ([CELL], {"a": ["cell"], "b": ["cell"]}, SENTENCE),  # of whom one may be the control's
        (
            [CELL, NUCLEUS],
            {"a": ["cell"], "b": ["nucleus"]},
            "The teachers describe nothing in common (a cell; b nucleus): verdict, ladder and comparisons are of cell"
            " and nucleus, and a teacher that leaves one of them out is not set against a student. Scores of each stand"
            " by structure.",
        ),
        (
            [CELL, NUCLEUS],
            {"a": ["membrane"]},
            "The teacher a is not scored, and nothing is said of recovery or gap: that takes its maps of what test"
            " images are labelled for (cell or nucleus).",
        ),
    ):
        assert structures_in_words([CELL, NUCLEUS], compared, outputs) == expected


@pytest.fixture(scope="module")
def nuclei(tissue, tmp_path_factory):
    """Return the description of a teacher that gives nuclei alone: their labels, as another tool might have found."""
    path = tmp_path_factory.mktemp("maps") / "nuclei.toml"
    folder = tissue / "labels" / "nucleus"
    path.write_text(f'kind = "labels"\nfolder = "{folder.as_posix()}"\n[outputs]\nnucleus = [""]\n', "utf-8")
    return path


def test_teachers_with_nothing_in_common_are_not_set_against_students(tissue, tmp_path, nuclei):
    stain = {"teacher": f"maps:{nuclei}"}  # looks at no image, so no channels are named
    arms = ({"name": "baseline"}, {"name": "student", "teacher": "full"}, {"name": "stained", "teacher": "stain"})
    teachers = {"full": TEACHERS["full"], "stain": stain}
    settings = plan(tissue, tmp_path / "study", **BOTH, labels=(2,), teachers=teachers, arms=arms)
    done = conclude_study(settings, study(settings)).students["unet-tiny"]
    assert [name for name, arm in done.account.items() if arm.role == "teacher"] == []
    assert done.account["student-2"].recovery is None
    assert "The teachers describe nothing in common (full cell; stain nucleus)" in done.report.read_text("utf-8")


def test_where_no_test_image_is_labelled_for_what_the_teacher_describes_it_is_said(tissue, tmp_path):
    lines = ["image,label:cell,label:nucleus,split"]
    for place, path in enumerate(sorted((tissue / "images").iterdir())):
        split = ("train", "train", "train", "train", "validation", "validation", "test", "test")[place]
        file = path.name.replace(".ome", "")
        cell, nucleus = (tissue / "labels" / name / file for name in ("cell", "nucleus"))
        lines.append(f"{path},{'' if split == 'test' else cell},{nucleus},{split}")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("\n".join(lines), "utf-8")
    told = []
    done = distill(job(manifest, tmp_path / "run", **BOTH), notice=told.append)
    assert TEACHER not in done.account
    assert any("is not scored, and nothing is said of recovery or gap" in each for each in told)
