import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from segdistill.errors import EnvironmentFault
from segdistill.report.check_content import CheckContent
from segdistill.report.check_page import MARK, contact_picture, write_check

YELLOW = (240, 228, 66)


def shown(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_a_picture_has_outlines_and_hatches():
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 10:20] = 4
    counts = np.ones((20, 30), bool)
    counts[:, 25:] = False
    picture = shown(contact_picture(np.zeros((1, 20, 30), np.float32), ["a"], [labels], counts, side=30))
    assert picture.shape == (20, 30, 3)
    edge = np.abs(picture.astype(int) - 0.9 * np.array(YELLOW)).max(axis=2) < 2
    assert edge[5, 10:20].all()
    assert edge[5:15, 19].all()
    assert edge.sum() == 36
    assert not picture[:, :5].any()
    assert (picture[:, 25:] > 0).all()


def test_everything_is_on_the_page_and_escaped(check_content, tmp_path):
    write_check(tmp_path / "check.html", check_content)
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;.tif is damaged" in page
    assert "<b>bold" not in page
    for words in (
        "2 things must be mended",
        "1 case should be looked at first",
        "7 more cases had no room here",
        "bit 4",
    ):
        assert words in page
    assert "http" not in re.sub(r"data:[^\"']+|http-equiv|http://www.w3.org/2000/svg", "", page)


def test_an_older_page_is_replaced_and_no_other_file(check_content, tmp_path):
    page = tmp_path / "check.html"
    write_check(page, check_content)
    write_check(page, check_content)
    assert MARK in page.read_text(encoding="utf-8")
    page.write_text("<p>somebody's own</p>")
    with pytest.raises(EnvironmentFault, match="no page of an earlier check"):
        write_check(page, check_content)
    assert page.read_text() == "<p>somebody's own</p>"
    with pytest.raises(EnvironmentFault, match="no page of an earlier check"):
        write_check(tmp_path, check_content)


def test_a_data_set_of_which_nothing_can_be_read_has_a_page_too(tmp_path):
    nothing = CheckContent(
        data="d", made="now", facts=(), faults=("a is damaged",), remarks=(), odd=(), pictures=(), left_out=0,
        histograms=(), balance=(), images=(),
    )  # fmt: skip
    write_check(tmp_path / "check.html", nothing)
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    for words in (
        "1 thing must be mended",
        "no other case that can be read",
        "No image could be read",
        "Nothing is lab",
    ):
        assert words in page


def test_histograms_are_drawn_from_low_to_high(check_content, tmp_path):
    write_check(tmp_path / "check.html", check_content)
    page = (tmp_path / "check.html").read_text(encoding="utf-8")
    stored, normalised = re.findall(r'<polyline points="([^"]+)"', page)
    # Four bins with shares 1, 1/4, 0, 0: heights are square roots, 96 % of the drawing for the highest.
    assert stored == "12.5,4.0 37.5,52.0 62.5,100.0 87.5,100.0"
    assert normalised == "12.5,100.0 37.5,100.0 62.5,100.0 87.5,4.0"
