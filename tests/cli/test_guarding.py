"""No error ends in a traceback, whatever raises it."""

import polars as pl
import pytest

from palate.cli.guarding import guarded


def panicking():
    raise pl.exceptions.PanicException("out-of-range date")


def test_a_panic_of_polars_is_one_line(monkeypatch, capsys):
    monkeypatch.delenv("PALATE_TRACEBACK", raising=False)
    assert guarded(panicking) == 1
    told = capsys.readouterr().err
    assert "polars failed at this: PanicException: out-of-range date" in told
    assert "Traceback" not in told


def test_other_interruptions_go_through():
    class Interruption(BaseException):
        pass

    def interrupted():
        raise Interruption

    with pytest.raises(Interruption):
        guarded(interrupted)
