"""Which changes are made, and the list of those that no test can see, which is about code that there is."""

import re
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


SOURCE = """
from dataclasses import dataclass, field
AT_ONCE = 1 << 24
LIMIT = 25


@dataclass(frozen=True, repr=False)
class Made:
    n_threads: int = 0
    kept: int = field(default=3, repr=False, compare=True)


def solve(a: int | None, n_threads: int = 0, *, share: float = 0.5) -> int | None:
    if a is None:
        raise ValueError("a" * 8)
    step = max(1, AT_ONCE // len(a))
    rng = np.random.Generator(np.random.Philox(3))
    own = np.random.Generator(np.random.Philox(share + 1))
    return run(a + 1, zip(a, a, strict=True), n_threads=2)


def solve_all(a, /, *, n_threads: int = 7):
    return -a
"""


def test_what_no_answer_depends_on_is_not_changed(tmp_path):
    """Threads, amounts, seeds, annotations, errors and what an object prints as; all else that computes is changed."""
    pytest.importorskip("cosmic_ray", reason="make mutants installs it")
    from mutants.making import mutants_of

    (tmp_path / "made.py").write_text(SOURCE)
    found = mutants_of(tmp_path, "made.py")
    changed = {mutant.change(tmp_path)[0] for mutant in found}
    assert changed == {
        "LIMIT = 25",
        "kept: int = field(default=3, repr=False, compare=True)",
        "def solve(a: int | None, n_threads: int = 0, *, share: float = 0.5) -> int | None:",
        "if a is None:",
        "own = np.random.Generator(np.random.Philox(share + 1))",
        "return run(a + 1, zip(a, a, strict=True), n_threads=2)",
        "return -a",
    }
    becomes = {mutant.change(tmp_path)[1] for mutant in found}
    assert "def solve(a: int | None, n_threads: int = 0, *, share: float = 1.5) -> int | None:" in becomes
    for kept in ("n_threads: int = 1", "repr=True", "n_threads=3", "strict=False"):
        assert not any(kept in line for line in becomes)


def test_every_amount_is_a_constant_somewhere():
    pytest.importorskip("cosmic_ray", reason="make mutants installs it")
    from mutants.making import AMOUNTS

    source = "\n".join(file.read_text() for file in (ROOT / "src/palate").rglob("*.py"))
    assert [name for name in AMOUNTS if not re.search(rf"^{name} = ", source, re.MULTILINE)] == []
