"""Live lines: one output in a notebook, rich on a terminal, nothing elsewhere."""

import io
import sys

import pytest

import palate
from helpers.html import checked
from helpers.notebooks import Kernel
from palate.showing import live
from palate.showing.live import PER_SECOND, Bar, Lines, clock, is_shown

COLUMNS = ("label", "bar", "count", "sweeps, left", "left", "text")
RATINGS = palate.datasets.synthetic(60, 40, 1200, seed=1)


def only_output(kernel):
    (output,) = kernel.outputs
    return output


def test_a_bar_is_one_output_that_ends_as_its_summary(kernel):
    bar = Bar("auto", COLUMNS)
    bar.update(label="Bayes", total=4)
    kernel.clock[0] += 1
    bar.update(done=1, text="train 0.9")
    assert checked(only_output(kernel).html) == "Bayes 1/4 sweeps, left 0:03 train 0.9"
    assert only_output(kernel).text == "Bayes  1/4  sweeps, left  0:03  train 0.9"
    assert "width:25.0%" in only_output(kernel).body
    assert bar.close("Bayes: 4 sweeps in 4.0 s")
    assert checked(only_output(kernel).html) == only_output(kernel).text == "Bayes: 4 sweeps in 4.0 s"
    bar.update(done=9)
    assert not bar.close("again")
    assert only_output(kernel).text == "Bayes: 4 sweeps in 4.0 s"


def test_a_bar_is_drawn_a_few_times_a_second(kernel):
    bar = Bar(True, COLUMNS)
    for done in range(1000):
        kernel.clock[0] += 0.004
        bar.update(done=done, total=1000)
    assert 4 * PER_SECOND - 2 <= only_output(kernel).n_drawn <= 4 * PER_SECOND + 1


def test_a_bar_without_an_end_has_no_length(kernel):
    bar = Bar(True, COLUMNS)
    bar.update(label="EASE", total=None)
    assert "width" not in only_output(kernel).body
    assert "-:--" in only_output(kernel).text


def test_names_in_a_line_are_escaped(kernel):
    bar = Bar(True, ("label", "text"))
    bar.update(label="<script>x</script>", text="a & b")
    bar.say("<b>bold</b>")
    assert "<script" not in only_output(kernel).html and "<b>" not in only_output(kernel).html
    assert "<b>bold</b>" in checked(only_output(kernel).html)


def test_rows_of_a_table_stay_when_the_bar_goes(kernel):
    bar = Bar(True, ("label", "bar"), head={"epoch": 5, "loss": 8}, transient=True)
    bar.update(label="epoch 1 of 2", total=10)
    bar.row(["1", "0.5000"])
    assert checked(only_output(kernel).html) == "epoch loss 1 0.5000 epoch 1 of 2"
    bar.row(["2", "0.4000"])
    bar.close()
    assert checked(only_output(kernel).html) == "epoch loss 1 0.5000 2 0.4000"


def test_a_table_of_very_many_rows_stays_small(kernel):
    bar = Bar(True, ("label",), head={"epoch": 5})
    for row in range(5_000):
        bar.row([str(row)])
    assert len(only_output(kernel).html) < 10_000
    assert f"{5_000 - live.MAX_LINES:,} before these" in checked(only_output(kernel).html)


def test_what_runs_inside_something_longer_shows_its_line_there(kernel):
    with Lines("auto") as lines:
        lines.hint("how long it takes")
        assert only_output(kernel).text == "how long it takes"
        lines.say("1 of 2: Mean")
        inner = Bar("auto", ("label",))
        kernel.clock[0] += 1
        inner.update(label="Bayes")
        assert only_output(kernel).text == "1 of 2: Mean\nBayes"
        inner.close("Bayes: 3 sweeps")
        lines.say("2 of 2: Bayes")
    assert only_output(kernel).text == "1 of 2: Mean\n2 of 2: Bayes"


def test_after_a_failure_the_next_line_has_an_output_of_its_own(kernel):
    with pytest.raises(ValueError), Lines("auto") as lines:
        lines.say("before")
        Bar("auto", ("label",)).update(label="Bayes")
        raise ValueError
    Bar("auto", ("label",)).update(label="later")
    assert [output.text for output in kernel.outputs] == ["before\nBayes", "later"]


def test_a_closed_line_within_another_leaves_what_it_said(kernel):
    with Lines(True) as lines:
        inner = Bar(True, ("label",))
        inner.say("told")
        inner.close()
        lines.say("after")
    assert only_output(kernel).text == "told\nafter"


@pytest.mark.parametrize(
    "where", [None, Kernel(on_a_terminal=True), object()], ids=["outside", "ipython-on-a-terminal", "half-imported"]
)
def test_nothing_is_shown_where_nobody_looks(where, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", where)
    assert not is_shown("auto")
    bar = Bar("auto", COLUMNS)
    bar.update(label="x", done=1, total=2)
    bar.say("y")
    bar.row(["z"])
    assert not bar.close("done")
    with Lines("auto") as lines:
        lines.say("z")
        lines.hint("z")
    assert capsys.readouterr() == ("", "")


def test_a_kernel_shows_nothing_if_it_is_told_not_to(kernel, capsys):
    palate.Bias().fit(RATINGS, progress=False)
    palate.compare(RATINGS, RATINGS, ["Mean"], n_bootstrap=2, progress=False)
    palate.cross_validate(palate.Mean(), RATINGS, 2, progress=False)
    assert kernel.outputs == []
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_lines_on_standard_error(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert is_shown("auto")
    with Lines("auto") as lines:
        lines.say("one")
        lines.hint("two")
    bar = Bar("auto", ("label", "bar", "count", "left", "elapsed", "text"), head={"epoch": 5, "loss": 6})
    bar.update(label="Bayes", done=1, total=2)
    bar.row(["1", "0.5"])
    bar.say("a [note]")
    bar.restart()
    assert not bar.close("the end")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("one\ntwo\n")
    assert "epoch    loss" in err and "    1     0.5" in err and "a [note]" in err


def test_durations_read_as_clocks():
    assert [clock(seconds) for seconds in (0.4, 65, 3725, -1)] == ["0:00", "1:05", "1:02:05", "0:00"]


# ---- what shows them


def test_a_fit_ends_as_one_line_with_its_errors(kernel):
    train, valid = palate.split_random(RATINGS, test=0.2, seed=0)
    palate.ALS(n_factors=2, n_sweeps=3).fit(train, valid)
    text = only_output(kernel).text
    assert (
        text.startswith("ALS(n_factors=2, n_sweeps=3): 3 sweeps in ") and ", train 0." in text and ", valid 0." in text
    )


def test_how_a_fit_ended_stands_in_its_line(kernel, capsys):
    palate.ALS(n_sweeps=9).fit(RATINGS, callback=lambda sweep: sweep.number == 2)
    assert only_output(kernel).text.endswith("; ended by the callback after 2 sweeps")
    assert capsys.readouterr() == ("", "")


def test_a_fit_that_fails_leaves_no_line_open(kernel):
    def broken(sweep):
        raise ValueError

    with pytest.raises(ValueError):
        palate.ALS(n_sweeps=9).fit(RATINGS, callback=broken)
    palate.Mean().fit(RATINGS)
    assert len(kernel.outputs) == 2


def test_a_comparison_is_one_output(kernel):
    palate.compare(RATINGS, RATINGS, ["Mean", palate.ALS(n_sweeps=2)], n_bootstrap=2)
    lines = only_output(kernel).text.splitlines()
    assert [line[:12] for line in lines] == ["1 of 2: Mean", "2 of 2: ALS("]


def test_folds_and_blocks_are_one_output_each(kernel, tmp_path):
    palate.cross_validate(palate.Mean(), RATINGS, 2)
    assert only_output(kernel).text == "Mean(): 2 folds in 0.0 s"
    palate.blocks.write(tmp_path / "some.blocks", RATINGS)
    assert kernel.outputs[1].text == "1,200 rows written in 0:00"


def test_a_tuning_is_one_output(kernel):
    pytest.importorskip("optuna")
    palate.tune(palate.Bias(), RATINGS, trials=2)
    assert [line[:8] for line in only_output(kernel).text.splitlines()] == ["1 trials", "2 trials"]


def test_a_training_is_a_table(kernel):
    pytest.importorskip("torch")
    from helpers import training

    training.learner(progress="auto").fit(2)
    text = checked(only_output(kernel).html)
    assert text.startswith("epoch train loss valid loss RMSE time 1 ") and text.count(" s") == 2
    assert "width" not in only_output(kernel).body


def test_a_download_is_one_output(kernel):
    from palate.data.datasets import downloads

    with downloads._progress("ml-1m.zip") as advance:
        kernel.clock[0] += 1
        advance(3_000_000, 6_000_000)
        assert only_output(kernel).text == "ml-1m.zip  3.0 of 6.0 MB, 3.0 MB/s  0:01"


def test_a_closed_standard_error_shows_nothing(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_shown("auto")
