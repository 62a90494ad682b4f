from hypothesis import given
from hypothesis import strategies as st

from segdistill.targets.record import Key, Place, Record, from_line, to_line

RECORD = Record(
    Key("ab12", 3),
    {"maps": Place(64, (2, 3, 4), "<f2", 4_000_000_000), "mean/scale": Place(128, (), "<f4", 0)},
    {"case": "plate 3/Ä01", "teacher": 0, "error": 0.1},
)


def test_a_line_comes_back_as_the_record():
    assert from_line(to_line(RECORD)) == RECORD
    assert "\n" not in to_line(RECORD)


def test_a_place_knows_where_it_ends():
    assert RECORD.arrays["maps"].end == 64 + 2 * 3 * 4 * 2
    assert RECORD.end == 132  # a scalar of 4 bytes at 128


def test_a_torn_line_is_no_record():
    line = to_line(RECORD)
    assert not any(from_line(line[:length]) for length in range(len(line)))


@given(st.data())
def test_a_changed_line_is_no_other_record(data):
    line = to_line(RECORD)
    place = data.draw(st.integers(0, len(line) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != line[place]))
    assert from_line(line[:place] + other + line[place + 1 :]) in (None, RECORD)  # white space may change


@given(st.text())
def test_any_text_is_a_record_or_none(text):
    assert from_line(text) is None
