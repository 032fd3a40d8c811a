"""The list of changes that no test can see is about code that there is."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNSEEN = tomllib.loads((ROOT / "tests/mutants/unseen.toml").read_text())["unseen"]


@pytest.mark.parametrize("each", UNSEEN, ids=lambda each: each["line"][:40])
def test_what_no_test_can_see_is_still_there_and_has_a_reason(each):
    lines = [line.strip() for line in (ROOT / "src/palate" / each["module"]).read_text().splitlines()]
    assert each["line"] in lines
    assert each.get("becomes") not in lines
    assert len(each["why"].split()) >= 3
