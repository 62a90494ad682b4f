import base64
import csv
import hashlib
import io
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from segdistill.errors import EnvironmentFault
from segdistill.report import (
    Dropped,
    Facts,
    GalleryCase,
    GroupRow,
    GroupScores,
    Licence,
    ReferenceRow,
    ReportContent,
    Spread,
    page,
    write_report,
)

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
EVIL = "<script>alert(1)</script>\"'&"


class Reader(HTMLParser):
    """Reads a page strictly: every element is closed in order, no attribute comes twice."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.elements, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.faults.append(f"{tag} repeats an attribute at {self.getpos()}")
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes nothing")

    def handle_data(self, data):
        self.text.append((self.open[-1] if self.open else "", data))

    def words(self):
        return " ".join(" ".join(data for tag, data in self.text if tag not in {"style", "script"}).split())

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.faults == []
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def full(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, content())
    return path


def empty(**changes):
    return ReportContent(
        **({"title": "t", "run_id": "r", "made": "now", "answer": "untested", "verdict": ()} | changes)
    )


def test_the_page_is_well_formed_and_complete(full):
    reader = read(full)
    words = reader.words()
    for wanted in (
        "Did distillation help? Yes",
        "With 6 labelled images, distillation lifts the student",
        "8f3c2a91d07e",
        "gap closed",
        "35 %",
        "teacher that sees the nucleus only",
        "All 130 labels: here it matters little",
        "Simulated tissue: the result says",
        "AP@0.5, %",
        "segdistill distill --data tissue",
        "Apache-2.0",
        "images without membrane",
        "label and prediction both empty",
    ):
        assert wanted in words, wanted
    identities = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_nothing_is_fetched_from_anywhere(full):
    reader = read(full)
    addresses = [
        value
        for _, attributes in reader.elements
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster", "xlink:href"}
    ]
    assert addresses
    assert all(value.startswith(("data:", "#")) for value in addresses)
    style = "".join(data for tag, data in reader.text if tag == "style")
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in full.read_text(encoding="utf-8").replace("http-equiv", "")
    assert full.stat().st_size < page.MOST_BYTES


def test_only_our_own_script_may_run(full):
    reader = read(full)
    (script,) = [data for tag, data in reader.text if tag == "script"]
    policy = next(meta["content"] for meta in reader.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not any(name.startswith("on") for _, attributes in reader.elements for name in attributes)


def test_every_picture_has_words(full):
    reader = read(full)
    pictures = [image for image in reader.of("img") if image.get("src")]
    assert len(pictures) == 6 * 8
    assert all(image["alt"] for image in pictures)
    assert all(svg.get("aria-label") for svg in reader.of("svg") if svg.get("role") == "img")


def test_text_of_users_is_only_text(tmp_path, content, rung, case):
    ladder = replace(
        content().ladders[0],
        title=EVIL,
        rungs=(rung(EVIL, "baseline", 0.5, EVIL), rung("student", "student", 0.6, EVIL)),
        baseline=EVIL,
        teacher=None,
        note=EVIL,
    )
    evil = content(
        title=EVIL,
        run_id=EVIL,
        verdict=(EVIL,),
        notes=(EVIL,),
        ladders=(ladder,),
        comparisons=tuple(
            replace(row, metric=EVIL, first=EVIL, second=EVIL, words=EVIL, claim=EVIL) for row in content().comparisons
        ),
        remarks=(EVIL,),
        arms=tuple(replace(arm, name=EVIL, setting=EVIL, labels_saved=EVIL) for arm in content().arms),
        gallery=(case(EVIL, "best", seed=0, shape=(20, 30)),),
        runs=tuple(replace(run, arm=EVIL) for run in content().runs[:2]),
        costs=(replace(content().costs[0], name=EVIL),),
        machine=EVIL,
        reliability=(replace(content().reliability[0], who=EVIL),),
        agreement=(replace(content().agreement[0], who=EVIL),),
        references=(ReferenceRow(what=EVIL, data=EVIL, score=EVIL, printed=EVIL, source=EVIL),),
        claims=(replace(content().claims[0], claim=EVIL, source=EVIL, here=EVIL),),
        channels=(replace(content().channels[0], who=EVIL, channel=EVIL),),
        groups=GroupScores(
            column=EVIL,
            rows=tuple(
                GroupRow(value=value, metric=EVIL, fields=1, scores={EVIL: Spread(mean=0.5)}) for value in (EVIL, "b")
            ),
        ),
        provenance=(Facts(title=EVIL, values={EVIL: EVIL}),),
        dropped=(Dropped(what=EVIL, why=EVIL),),
        command=EVIL,
    )
    write_report(tmp_path / "evil.html", evil)
    reader = read(tmp_path / "evil.html")
    assert len(reader.of("script")) == 1
    assert reader.words().count(EVIL) > 20


def test_formulas_in_names_are_neutralised_in_every_table(tmp_path, content, rung, run):
    name = "=HYPERLINK(1)"
    evil = content(
        gallery=(),
        ladders=(replace(content().ladders[0], rungs=(rung(name, "student", 0.5, ""),), baseline=None, teacher=None,
                         student=None),),
        comparisons=tuple(replace(row, first=name) for row in content().comparisons),
        arms=tuple(replace(arm, name=name) for arm in content().arms),
        runs=(run(name, "student", 0, steps=10),),
    )  # fmt: skip
    write_report(tmp_path / "evil.html", evil)
    tables = [link["href"] for link in read(tmp_path / "evil.html").of("a") if "download" in link]
    cells = [
        cell
        for table in tables
        for row in csv.reader(io.StringIO(base64.b64decode(table.split(",", 1)[1]).decode("utf-8-sig"), newline=""))
        for cell in row
    ]
    assert f"'{name}" in cells
    assert name not in cells


def test_every_drawing_and_table_can_be_taken_away(full):
    files = [link["download"] for link in read(full).of("a") if "download" in link]
    assert files[:3] == ["ladder.csv", "ladder_2.csv", "time.csv"]
    assert "arms.csv" in files
    assert "comparisons.csv" in files
    assert "curve_Loss_term_distillation.csv" in files
    assert (
        len(files)
        == len(set(files))
        == 2
        + 1
        + 1
        + 1
        + 9
        + 2
        + len(("gain_by_size", "parameters", "references"))
        + len(("time", "by_structure", "by_group", "calibration", "disagreement", "channels", "claims", "every_metric"))
    )


def table_of(path, name):
    (link,) = [link["href"] for link in read(path).of("a") if link.get("download") == name]
    return list(csv.DictReader(io.StringIO(base64.b64decode(link.split(",", 1)[1]).decode("utf-8-sig"), newline="")))


def test_every_number_of_a_comparison_is_shown_and_can_be_taken_away(full):
    words = read(full).words()
    for wanted in (
        "Within a margin of 2 points",
        "student − baseline the teacher's targets, beside the same labels Dice +5.8 +3.8 to +7.8 11 of 12 < 0.001 0.002"
        " 2.90 2.20 to 3.70 2.6 better",
        "student − all-labels the student, against all labels without a teacher Dice −0.6 −2.6 to +1.4 7 of 12 0.340"
        " 0.340 −0.30 −1.00 to 0.50 2.6 none",
        "student − baseline the teacher's targets, beside the same labels AP@0.5 −3.1",
    ):
        assert wanted in words, wanted
    row = table_of(full, "comparisons.csv")[0]
    assert row["p"] == row["smallest p"] == repr(2 / 4096)
    shown = [float(row[name]) for name in ("difference", "low", "detectable difference")]
    assert shown == pytest.approx([0.058, 0.038, 0.026])


def test_ratios_have_their_intervals_and_labels_saved_a_column_where_there_are_any(full, tmp_path, content):
    words = read(full).words()
    assert "89 % 88 to 90" in words
    assert "35 % 31 to 39" in words
    assert "34 (95 % interval −4 to more than 106)" in words
    assert table_of(full, "arms.csv")[2]["gap_closed low"] == "0.31"
    without = tuple(replace(arm, labels_saved="") for arm in content().arms)
    write_report(tmp_path / "a.html", empty(arms=without))
    assert "Labels saved" not in read(tmp_path / "a.html").words()


def test_how_many_tests_were_corrected_together_is_said(full, tmp_path, comparison):
    assert "corrected for all comparisons of one score, 5 tests by Dice, 5 tests by AP@0.5." in read(full).words()
    assert {row["tests in the family"] for row in table_of(full, "comparisons.csv")} == {"5"}
    rows = (comparison("a", "b", 0.1, tests=12, questions=3, judged=0.02), comparison("c", "b", 0.1, tests=12))
    write_report(tmp_path / "a.html", empty(comparisons=rows))
    words = read(tmp_path / "a.html").words()
    assert "12 tests by Dice, those in the reports of the study's other students among them" in words
    assert "its p is corrected for these 3 questions" in words
    assert [row["p of the claim"] for row in table_of(tmp_path / "a.html", "comparisons.csv")] == ["0.02", "0.0015"]


def test_a_comparison_of_one_field_has_dashes(tmp_path, comparison):
    gone = dict.fromkeys(("ends", "p", "smallest_p", "holm", "effect", "effect_ends", "detectable"))
    row = comparison("a", "b", 0.1, **gone, fields=1, better=1, words="", claim="none")
    write_report(tmp_path / "a.html", empty(comparisons=(row,)))
    assert "a − b Dice +10.0 – 1 of 1 – – – – none" in read(tmp_path / "a.html").words()


def test_an_empty_report_says_what_it_lacks(tmp_path):
    write_report(tmp_path / "empty.html", empty())
    words = read(tmp_path / "empty.html").words()
    for wanted in (
        "Did distillation help? Not tested",
        "No verdict was handed in.",
        "No ladder: no arm was handed in.",
        "No cases: no picture was handed in.",
        "No scores of single fields were handed in.",
        "No two arms were compared.",
        "No training log was handed in.",
        "Nothing was dropped.",
        "No licence was handed in",
        "No convention was handed in.",
        "Nothing was remarked.",
    ):
        assert wanted in words, wanted


@pytest.mark.parametrize("lacking", ["teacher", "baseline", "student"])
def test_a_ladder_may_lack_any_of_its_ends(tmp_path, content, lacking):
    whole = content().ladders[0]
    rungs = tuple(rung for rung in whole.rungs if rung.name != lacking)
    write_report(tmp_path / "a.html", empty(ladders=(replace(whole, rungs=rungs, **{lacking: None}),)))
    assert "84.2 ± 0.6" in read(tmp_path / "a.html").words()


def test_one_seed_has_no_deviation(tmp_path, content, rung):
    ladder = replace(
        content().ladders[0],
        rungs=(rung("student", "student", 0.8, "", seeds=1),),
        baseline=None,
        teacher=None,
    )
    write_report(tmp_path / "a.html", empty(ladders=(ladder,)))
    words = read(tmp_path / "a.html").words()
    assert "1 seed ·" in words
    assert "± standard" in words
    assert not re.search(r"80\.0 ±", words)


def test_a_broken_file_name_is_shown_as_its_bytes(tmp_path):
    name = os.fsdecode(b"bad\xff.png")
    write_report(tmp_path / "a.html", empty(dropped=(Dropped(what=name, why="not Unicode"),)))
    assert "bad\\udcff.png" in read(tmp_path / "a.html").words()


def test_pictures_shrink_until_the_page_is_small_enough(monkeypatch, content):
    noise = np.random.default_rng(0).random((1, 300, 400)).astype(np.float32)
    cases = tuple(GalleryCase(name=str(n), rank="best", student_view=noise, student_channels=("n",)) for n in range(3))
    whole = len(page.rendered(empty(gallery=cases)))
    monkeypatch.setattr(page, "MOST_BYTES", whole - 1)
    assert len(page.rendered(empty(gallery=cases))) < whole - 1


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(path, empty(run_id="old"))

    def full_disk(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(EnvironmentFault, match="no room to write"):
        write_report(path, empty(run_id="new"))
    assert "run old" in " ".join(read(path).words().split())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_their_ground(theme):
    # WCAG 2.1, success criterion 1.4.3: at least 4.5 to 1.
    style = Path(page.__file__).with_name("report.css").read_text(encoding="utf-8")
    block = re.findall(r"\{\s*color-scheme: " + theme + r";(.*?)\}", style, re.DOTALL)[-1 if theme == "dark" else 0]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", block))

    def luminance(name):
        parts = [int(colours[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for words in ("ink", "soft", "accent", "warn"):
        for ground in ("paper", "card"):
            light, dark = sorted((luminance(words), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (words, ground)


def test_objects_found_by_size_are_a_table_with_bars_and_a_csv(tmp_path, content):
    write_report(tmp_path / "r.html", content())
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    part = page[page.index('id="sizes"') : page.index('id="comparisons"')]
    for words in ("10 to 30 µm²", "1,234", "found by baseline", "52.5", '<rect class="student" width="62.5%"'):
        assert words in part
    code = base64.b64decode(re.search(r'download="sizes.csv" href="data:[^,]+,([^"]+)"', part)[1]).decode("utf-8-sig")
    header, first, *_ = csv.reader(code.splitlines())
    assert header[-2:] == ["found by baseline", "found by student"]
    assert first == ["cell", "10.0", "30.0", "µm²", "1234", "0.525", "0.625"]


def test_without_objects_there_is_no_table_of_sizes(tmp_path, content):
    write_report(tmp_path / "r.html", content(sizes=()))
    assert 'id="sizes"' not in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_time_trust_and_channels_are_drawn_said_and_can_be_taken_away(full):
    words = read(full).words()
    for wanted in (
        "Timed on 2 threads of a processor",
        "student: off by 3.1 points",
        "student 71.0 21.0 2.0 6.0",
        "membrane teacher 94.4 40.2 −54.2",
        "Each of 6 test fields was shown again",
        "teacher: 94.4 % at 64,000 ms per megapixel, 641 M parameters",
    ):
        assert wanted in words, wanted
    assert table_of(full, "time.csv")[1]["milliseconds per megapixel"] == "96.0"
    assert table_of(full, "calibration.csv")[0] == {
        "network": "student", "mean probability": "0.03", "share of foreground": repr(0.03**1.4), "pixels": "9000",
    }  # fmt: skip
    assert table_of(full, "disagreement.csv")[1]["only the teacher"] == "0.3"
    assert table_of(full, "channels.csv")[1]["score with another field's channel"] == "0.402"


def test_a_network_of_unknown_size_is_hollow_and_one_point_alone_is_drawn(tmp_path, content):
    alone = replace(content().costs[0], parameters=None)
    write_report(tmp_path / "a.html", empty(costs=(alone,)))
    circles = [circle for circle in read(tmp_path / "a.html").of("circle") if "bubble" in circle.get("class", "")]
    assert [circle["class"] for circle in circles] == ["bubble student hollow"]
    assert 0 < float(circles[0]["cx"].rstrip("%")) < 100


def test_numbers_of_others_have_a_table_of_their_own(full, tmp_path):
    words = read(full).words()
    assert "Numbers of others, not of this run" in words
    assert "Swin-Tiny TissueNet Dice, % 78.36 ± 1.44 arXiv:1, abstract" in words
    assert words.count("78.36") == 1  # nowhere among our own
    assert table_of(full, "references.csv")[0]["printed"] == "78.36 ± 1.44"
    write_report(tmp_path / "a.html", empty())
    assert "Numbers of others" not in read(tmp_path / "a.html").words()


def test_gains_stand_against_parameters_with_their_intervals(full, content):
    words = read(full).words()
    assert "unet-mobilenetv3 −0.4 points (−2.0 to +1.2), 6.7 M parameters" in words
    assert "Gain against parameters" in words
    rows = table_of(full, "gain_by_size.csv")
    assert [(row["student"], row["parameters"], row["gain"], row["low"]) for row in rows] == [
        ("unet-mobilenetv3", "6700000", "-0.004", "-0.02"),
        ("unet-resnet18", "14328000", "0.058", "0.038"),
    ]


def test_what_is_gone_after_training_is_counted(full):
    words = read(full).words()
    assert "student 14,328,065 14,328,000 65 0" in words
    assert table_of(full, "parameters.csv")[1]["gone after training"] == "65"


@pytest.mark.parametrize("gain", [0.0, 0.03, -0.03])
def test_the_line_of_no_gain_is_always_drawn(tmp_path, content, gain):
    points = tuple(replace(point, gain=gain, ends=None) for point in content().gains)
    write_report(tmp_path / "a.html", empty(gains=points))
    (line,) = [each for each in read(tmp_path / "a.html").of("line") if each.get("class") == "ideal"]
    marks = [each for each in read(tmp_path / "a.html").of("circle") if each.get("class") == "bubble student"]
    assert 0 <= float(line["y1"].rstrip("%")) <= 100
    above = [float(line["y1"].rstrip("%")) - float(mark["cy"].rstrip("%")) for mark in marks]
    assert [np.sign(each) for each in above] == [np.sign(gain)] * 2


def test_without_what_they_show_there_are_no_such_sections(tmp_path):
    write_report(tmp_path / "a.html", empty())
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not any(
        part in page
        for part in (
            'id="trust"',
            'id="channels"',
            "Dice against time",
            "Gain against parameters",
            'href="#size"',
            'href="#trust"',
            "#shift",
        )
    )


def test_claims_say_what_they_rest_on(full):
    words = read(full).words()
    assert "A teacher helps. arXiv:1 reproduced student − baseline: +5.8" in words
    assert table_of(full, "claims.csv")[1]["here"] == "untested here"


def test_scores_of_each_structure_are_a_table_and_a_csv(full, tmp_path):
    words = read(full).words()
    assert "Structure by structure" in words
    assert "epiglottis Dice, % 12 40.0 ± 1.1 50.0 ± 1.1" in words
    assert "tongue HD95, px 12 8 ± 0.11 9 ± 0.11" in words
    assert table_of(full, "by_structure.csv")[1] == {
        "structure": "epiglottis", "metric": "Dice", "unit": "%", "fields": "12", "arm": "student",
        "mean": "0.5", "sd": "0.011",
    }  # fmt: skip
    write_report(tmp_path / "a.html", empty())
    assert "Structure by structure" not in read(tmp_path / "a.html").words()


def test_scores_by_a_column_are_a_table_and_a_csv(full):
    words = read(full).words()
    assert "Score by scanner" in words
    assert "A Dice 7 77.8 ± 1.1 83.6 ± 1.1 94.4 ± 1.1" in words
    assert "not stated AP@0.5 1 57.8 ± 1.1" in words
    row = table_of(full, "by_group.csv")[1]
    assert row == {
        "scanner": "A", "metric": "Dice", "fields": "7", "arm": "student", "mean": "0.836", "sd": "0.011",
    }  # fmt: skip


def test_a_column_of_one_value_is_said_to_tell_nothing_apart(tmp_path):
    row = GroupRow(value="CT", metric="Dice", fields=9, scores={"student": Spread(mean=0.5)})
    write_report(tmp_path / "a.html", empty(groups=GroupScores(column="modality", rows=(row,))))
    words = read(tmp_path / "a.html").words()
    assert "Every one of the 9 test fields has the same modality, CT: there is nothing to tell apart." in words
    write_report(tmp_path / "b.html", empty(groups=GroupScores(column="modality", rows=())))
    assert "No test field was scored." in read(tmp_path / "b.html").words()


def test_the_legend_of_pairs_says_what_dots_are_and_only_what_there_is(full, tmp_path, content):
    words = read(full).words()
    assert "leads to its pictures" in words
    assert "has no picture, as only the best, the median and the worst of many fields have" in words
    assert 'class="swatch dot worse"' not in full.read_text(encoding="utf-8")  # it is better on every field
    ladder = content().ladders[0]
    swapped = replace(ladder, student="baseline", baseline="student")
    write_report(tmp_path / "a.html", content(ladders=(swapped,), gallery=()))
    assert 'class="swatch dot worse"></span>below it' in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "leads to its pictures" not in read(tmp_path / "a.html").words()


def test_every_metric_is_there_folded_with_its_unit_and_can_be_taken_away(full, tmp_path):
    page = full.read_text(encoding="utf-8")
    section = page[page.index('<section id="metrics">') :].partition("</section>")[0]
    assert "<details>" in section  # folded: no 'open'
    assert "NSD tongue % within 2 px ↑ 12 70.0 ± 1.1 71.0 ± 1.1 80.0 ± 1.1" in read(full).words()
    assert "HD95 what HD95 says mean over structures px ↓ 12 7 ± 0.11" in read(full).words()
    assert table_of(full, "every_metric.csv")[0] == {
        "structure": "mean over structures", "metric": "Dice", "unit": "%", "better": "higher", "fields": "12",
        "arm": "baseline", "mean": "0.7", "sd": "0.011",
    }  # fmt: skip
    write_report(tmp_path / "a.html", empty())
    assert '<section id="metrics">' not in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_terms_that_keep_to_research_are_named_on_the_first_screen_and_nowhere_else(full, tmp_path, content):
    assert "Research use only" not in read(full).words()
    bound = Licence(subject="data", licence="CC-BY-NC-4.0", note="research use only")
    write_report(tmp_path / "a.html", content(gallery=(), licences=(bound, Licence(subject="t", licence="MIT"))))
    words = read(tmp_path / "a.html").words()
    assert words.index("Research use only under the terms of data.") < words.index("Did distillation help?")


def test_a_case_says_of_which_structure_its_number_is_where_there_are_several(tmp_path, content, case):
    shown = (replace(case("a", "best", seed=0, shape=(20, 30)), structure="nucleus"),)
    several = content().metrics
    single = tuple(row for row in several if row.structure == several[0].structure)

    def page_with(metrics):
        write_report(tmp_path / "r.html", content(gallery=shown, metrics=metrics))
        return (tmp_path / "r.html").read_text(encoding="utf-8")

    told = page_with((*single, replace(single[0], structure="nucleus")))
    assert "Dice of nucleus, %:" in told
    assert "its numbers are of that one alone" in told
    plain = page_with(single)
    assert "Dice, %:" in plain
    assert "its numbers are of that one alone" not in plain
