"""Each target of `make fuzz` runs, and holds on a few examples."""

import pytest

from fuzz.__main__ import TARGETS, main, one_round, target_of


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_on_a_few_examples(name):
    one_round(target_of(name), 0, 20)


def test_an_unknown_target_is_named(capsys):
    assert main(["readers"]) == 2
    assert "there is no target readers; the targets are reader, dialects" in capsys.readouterr().out
