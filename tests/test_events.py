"""The logger `palate`: events with fields, for whoever listens; without a handler nothing is printed."""

import json
import logging

import numpy as np
import pytest

import palate
from palate.showing import events


@pytest.fixture(scope="module")
def ratings():
    return palate.datasets.synthetic(60, 40, 1200, seed=1)


def told(caplog, *names):
    """The fields of all events, or of those with these names."""
    found = [record.palate for record in caplog.records if hasattr(record, "palate")]
    return [one for one in found if not names or one["event"] in names]


def test_a_fit_tells_how_it_began_and_ended(ratings, caplog):
    caplog.set_level(logging.INFO, "palate")
    palate.ALS(n_factors=3, n_sweeps=4).fit(ratings)
    started, finished = told(caplog)
    assert started == {"event": "fit_started", "recipe": "ALS(n_factors=3, n_sweeps=4)", "kind": "explicit",
                       "ratings": 1200, "users": 60, "items": 40}  # fmt: skip
    assert finished["event"] == "fit_finished"
    assert (finished["ratings"], finished["sweeps"], finished["ended"]) == (1200, 4, "finished")
    assert finished["seconds"] >= 0 and finished["train_rmse"] > 0


def test_fits_within_other_work_are_details(ratings, caplog):
    train, test = palate.split_random(ratings, test=0.2, seed=0)
    rec = palate.Bias().fit(train)
    caplog.set_level(logging.DEBUG, "palate")
    palate.evaluate(rec, test)
    inner = told(caplog, "fit_started", "fit_finished")
    assert inner and {one["within"] for one in inner} == {"evaluate"}
    assert {record.levelname for record in caplog.records if record.palate in inner} == {"DEBUG"}
    (evaluated,) = told(caplog, "evaluated")
    assert "within" not in evaluated and evaluated["measures"]["rmse"] > 0
    caplog.clear()
    caplog.set_level(logging.INFO, "palate")
    palate.compare(train, test, ["Mean", "Bias"], progress=False)
    assert [one["recipe"] for one in told(caplog, "fit_finished")] == ["Mean()", "Bias()"]


def test_resuming_is_told(ratings, caplog, tmp_path):
    recipe = palate.ALS(n_factors=3, n_sweeps=6)

    def interrupt(sweep):
        if sweep.number == 4:
            raise KeyboardInterrupt

    caplog.set_level(logging.INFO, "palate")
    recipe.fit(ratings, checkpoint=tmp_path / "c", checkpoint_every=2, callback=interrupt)
    (ended,) = told(caplog, "fit_finished")
    assert ended["ended"].startswith("interrupted after 4 sweeps")
    assert caplog.records[-1].levelname == "WARNING"
    caplog.clear()
    recipe.fit(ratings, checkpoint=tmp_path / "c", resume=True)
    (resumed,) = told(caplog, "fit_resumed")
    assert resumed["sweeps"] in (2, 4)
    assert resumed["checkpoint"] == str((tmp_path / "c").absolute())


def test_update_forget_save_and_load_are_told_without_labels(ratings, caplog, tmp_path):
    rec = palate.Bias().fit(ratings)
    caplog.set_level(logging.INFO, "palate")
    more = rec.update({"user": ["secret", "secret"], "item": ["i2", "novel"], "rating": [5, 4]})
    more.forget(users="secret").save(tmp_path / "m.palate")
    palate.load(tmp_path / "m.palate")
    updated, forgotten, saved, loaded = told(caplog)
    assert updated == {"event": "updated", "ratings": 2, "new_users": 1, "new_items": 1}
    assert forgotten == {"event": "forgotten", "users": 1, "items": 0, "ratings": 2}
    assert saved["path"] == loaded["path"] == str(tmp_path / "m.palate")
    assert saved["fingerprint"] == loaded["fingerprint"]
    assert "secret" not in caplog.text and "secret" not in json.dumps(told(caplog))


def test_cold_users_are_counted_once_a_call_and_named_for_debugging_only(ratings, caplog):
    rec = palate.Bias().fit(ratings)
    caplog.set_level(logging.WARNING, "palate")
    rec.predict(["secret", "u1", "other"], ["i1", "nothing", "i2"])
    (cold,) = told(caplog)
    assert cold == {"event": "cold", "question": "predict", "asked": 3, "cold_users": 2, "cold_items": 1}
    caplog.clear()
    rec.recommend(["u1", "u2"], n=2)
    assert told(caplog) == []
    rec.recommend(["secret"], n=2)
    assert told(caplog) == [{"event": "cold", "question": "recommend", "asked": 1, "cold_users": 1}]
    caplog.clear()
    caplog.set_level(logging.DEBUG, "palate")
    rec.predict("secret", "i1")
    assert told(caplog, "cold_labels") == [
        {"event": "cold_labels", "question": "predict", "users": ["secret"], "items": []}
    ]


def test_blocks_tell_that_they_are_written(ratings, caplog, tmp_path):
    caplog.set_level(logging.INFO, "palate")
    palate.blocks.write(tmp_path / "b", ratings, progress=False)
    (written,) = told(caplog, "blocks_written")
    assert (written["ratings"], written["users"], written["items"]) == (1200, 60, 40)


def test_without_a_handler_nothing_is_printed(ratings, capfd):
    palate.Bias().fit(ratings).predict("nobody", "i1")
    assert capfd.readouterr() == ("", "")


def test_a_line_is_one_line_whatever_stands_in_it():
    record = logging.makeLogRecord({"name": "palate.serving", "levelname": "INFO", "msg": "request failed"})
    record.error = "a\nb\x1b[31m\u2028"
    record.share = float("nan")
    record.where = np.float32(0.5)
    fields = json.loads(events.Lines("json").format(record))
    assert fields["event"] == "request_failed"
    assert fields["error"] == record.error
    assert fields["share"] is None
    for form in ("json", "text"):
        line = events.Lines(form).format(record)
        assert line.isprintable()
    assert events.Lines("text").format(record).split()[1:3] == ["info", "request_failed"]


def test_quiet_silences_what_is_left_open(ratings, capfd):
    def interrupt(_):
        raise KeyboardInterrupt

    with events.quiet():
        palate.Bias().fit(ratings, callback=interrupt)
    assert capfd.readouterr().err == ""
    palate.Bias().fit(ratings, callback=interrupt)
    assert "interrupted" in capfd.readouterr().err
