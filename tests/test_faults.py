import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_in_the_table_of_faults_exists():
    named = re.findall(r"`(tests/[^:`]+)::(test_\w+)`", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))
    assert len(named) > 60
    missing = [
        f"{path}::{name}" for path, name in named if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert not missing
