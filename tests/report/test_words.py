import base64
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdistill.report.content import Spread
from segdistill.report.tables import csv_download
from segdistill.report.wording import (
    as_between,
    as_count,
    as_number,
    as_p,
    as_percent,
    as_points,
    as_share,
    as_size,
    as_spread,
)


def read_csv(download):
    kind, code = download.uri.split(",", 1)
    assert kind == "data:text/csv;charset=utf-8;base64"
    return list(csv.reader(io.StringIO(base64.b64decode(code).decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999.4, "999"),
        (999.6, "1 k"),
        (1_520_000, "1.52 M"),
        (27_500_000, "27.5 M"),
        (0, "0"),
        (float("inf"), "not finite"),
    ],
)
def test_sizes_have_three_digits(value, text):
    assert as_size(value) == text


def test_there_is_a_word_for_every_kind_of_missing_number():
    assert as_spread(Spread(mean=None)) == as_share(None) == as_number(None) == as_size(None) == as_percent(None) == "–"
    assert as_spread(Spread(mean=float("nan"), sd=0.1)) == as_share(float("inf")) == "not finite"
    assert as_spread(Spread(mean=0.5, sd=0.0)) == "50.0 ± 0.0"


@pytest.mark.parametrize(
    ("value", "text"), [(0.00051, "+0.1"), (-0.00051, "−0.1"), (-0.0001, "0.0"), (0.0, "0.0"), (1.0, "+100.0")]
)
def test_points_have_a_sign_unless_they_are_none(value, text):
    assert as_points(value) == text


def test_p_values_are_never_zero():
    assert [as_p(value) for value in (0.0, 0.00099, 0.001, 0.0496)] == ["< 0.001", "< 0.001", "0.001", "0.050"]
    assert as_p(None) == as_points(None) == "–"
    assert as_between(None, 0.5) == ""
    assert as_between(0.123, 0.456, digits=1) == "12.3 to 45.6"


def test_minus_is_a_minus_sign_and_plurals_are_right():
    assert as_share(-0.334) == "−33 %"
    assert [as_count(number, "label") for number in (0, 1, 1300)] == ["0 labels", "1 label", "1,300 labels"]


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_any_text_comes_back_from_csv_and_none_is_a_formula(text):
    cell = read_csv(csv_download("a", ["name"], [[text, 1]]))[1][0]
    assert cell[:1] not in {"=", "+", "-", "@", "\t", "\r"}
    assert cell.removeprefix("'") == text.removeprefix("'")


def test_numbers_keep_their_digits_and_their_sign():
    rows = read_csv(csv_download("a", ["=x", "y"], [[-0.1234567890123, None], [3, 1e-9]]))
    assert rows == [["'=x", "y"], ["-0.1234567890123", ""], ["3", "1e-09"]]


def test_a_broken_file_name_does_not_break_a_table():
    assert read_csv(csv_download("a", ["name"], [["bad\udcff"]]))[1] == ["bad\\udcff"]
