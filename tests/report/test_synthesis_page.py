"""The page of drawn images: whole, offline, and every word escaped."""

from dataclasses import replace

from segdistill.report.synthesis_content import ShownImage, ShownPair, SynthesisContent
from segdistill.report.synthesis_page import write_synthesis

DOT = "data:image/png;base64,AAAA"


def image(name):
    return ShownImage(name=name, uri=DOT)


CONTENT = SynthesisContent(
    title="Drawn images of <kidneys>",
    made="Made for a test",
    facts=(("images", "3"),),
    sentences=("Two are kept.", "One is a copy & set aside."),
    measures=(("seen and drawn", 12.5, 0.5, 6), ("seen and real", 2.5, 0.25, 6)),
    measured_on="On features of x.",
    real=(image("real_1"), image("real_2")),
    drawn=(image("drawn_1"),),
    nearest=(ShownPair(drawn=image("drawn_3"), real=image("real_2"), distance=0.125, reason="nearly a copy"),),
    doubted=(image("drawn_2"),),
    dropped=(("drawn_2.png", "doubt", 0.5), ("drawn_3.png", "nearly a copy", 0.125)),
)


def test_everything_stands_there_and_is_escaped(tmp_path):
    write_synthesis(tmp_path / "report.html", CONTENT)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;kidneys&gt;" in page
    assert "<kidneys>" not in page
    assert page.count(DOT) == 6
    for words in ("Two are kept.", "0.125", "set aside: nearly a copy", "12.5", "drawn_2.png", "default-src 'none'"):
        assert words in page
    assert "2 images in the folder dropped" in page


def test_what_there_is_none_of_is_said(tmp_path):
    bare = replace(CONTENT, measures=(), measured_on="Too few.", drawn=(), nearest=(), doubted=(), dropped=())
    write_synthesis(tmp_path / "report.html", bare)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "None is kept." in page
    assert "Nothing is." in page
    assert '<p class="nothing">Too few.</p>' in page
