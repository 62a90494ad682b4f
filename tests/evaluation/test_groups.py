"""Groups of fields: read from a file, averaged first, and never guessed."""

import pytest

from segdistill.errors import ConfigError, DataError
from segdistill.evaluation import MACRO, by_group, macro_rows, read_groups, spreads, with_groups


def record(field: str, value: float, *, structure: str = "cell", metric: str = "dice") -> dict:
    return {
        "structure": structure,
        "metric": metric,
        "value": value,
        "empty": "",
        "unit": "0 to 1",
        "arm": "a",
        "seed": 0,
        "field": field,
    }


def written(folder, text: str):
    path = folder / "groups.csv"
    path.write_text(text, encoding="utf-8-sig")
    return path


def test_groups_count_once():
    # Group x has fields 0.2 and 0.4, y has 0.9: (0.3 + 0.9) / 2, not the mean of three.
    rows = with_groups([record("a", 0.2), record("b", 0.4), record("c", 0.9)], {"a": "x", "b": "x", "c": "y"})
    (spread,) = spreads(by_group(rows))
    assert (spread.mean, spread.fields, spread.worst) == (pytest.approx(0.6), 2, ("x", pytest.approx(0.3)))


def test_rows_without_a_group_are_their_own():
    rows = (record("a", 0.2), record("b", 0.4))
    assert by_group(rows) == rows


def test_a_file_of_groups(tmp_path):
    assert read_groups(written(tmp_path, "group,field,age\nx,p1/A ,60\nx,B,70\n")) == {"p1/A": "x", "B": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns none; field and group"),
        ("field,patient\na,x\n", "group must be among them"),
        ("field,group\na,\n", "line 2: a field or its group is not named"),
        ("field,group\na\n", "line 2: a field or its group is not named"),
        ("field,group\na,x\na,y\n", "line 3: 'a' is in group 'x' already"),
    ],
)
def test_a_file_of_groups_that_leaves_something_open_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_groups(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read_groups(tmp_path / "nowhere.csv")
    (tmp_path / "latin.csv").write_bytes(b"field,group\n\xe9,x\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_groups(tmp_path / "latin.csv")


def test_a_field_without_a_group_is_refused():
    with pytest.raises(DataError, match="1 fields have no group: b"):
        with_groups([record("a", 0.2), record("b", 0.4)], {"a": "x"})


def test_the_macro_mean_gives_every_structure_one_vote():
    # Field a: (0.2 + 0.6) / 2. Field b has no organ: 0.5. pq is of one structure alone: no mean.
    rows = [
        record("a", 0.2),
        record("a", 0.6, structure="organ"),
        record("b", 0.5),
        record("a", 0.9, metric="pq"),
    ]
    found = macro_rows(rows)
    assert {row["structure"] for row in found} == {MACRO}
    assert [(row["field"], row["metric"], row["value"]) for row in found] == [
        ("a", "dice", pytest.approx(0.4)),
        ("b", "dice", 0.5),
    ]


def test_a_structure_called_as_the_macro_mean_is_refused():
    with pytest.raises(ConfigError, match="Rename it"):
        macro_rows([record("a", 0.2, structure=MACRO)])
