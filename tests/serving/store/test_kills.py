"""kill -9 at random moments under feedback: every acknowledged event is there once, none twice.

PALATE_KILLS=100 kills as often, for each store; without it a few times.
"""

import os
import random
import subprocess
import sys
import time

from helpers.scripts import ROOT
from palate.serving.store import Event

N_KILLS = int(os.environ.get("PALATE_KILLS", "5"))
WRITER = ROOT / "tests" / "helpers" / "feedback_writer.py"


def acknowledged_before_a_kill(url, run, seconds):
    """The ids that a writer printed before it was killed: some time after the first, or after its start if none."""
    writer = subprocess.Popen([sys.executable, WRITER, url, str(run)], stdout=subprocess.PIPE, text=True)
    if run % 5:
        first = writer.stdout.readline()
    else:
        first, seconds = "", seconds * 2  # also while it begins
    time.sleep(seconds)
    writer.kill()
    rest, _ = writer.communicate()
    lines = (first + rest).splitlines(keepends=True)
    return [line.rstrip() for line in lines if line.endswith("\n")]


def test_what_was_acknowledged_is_there_once(url, opened):
    chosen, n_acknowledged, kept = random.Random(), 0, set()
    for run in range(1, N_KILLS + 1):
        acknowledged = acknowledged_before_a_kill(url, run, chosen.uniform(0, 0.3))
        store = opened(url)
        last = store.last()
        stored = list(store.since(len(kept)))
        ids = [found.event.id for found in stored]
        assert [found.number for found in stored] == list(range(len(kept) + 1, last + 1))
        assert len(set(ids)) == len(ids)
        assert not kept & set(ids)
        assert set(acknowledged) <= set(ids)
        kept |= set(ids)
        assert store.count() == len(kept)
        if acknowledged:  # who sends again, not knowing, changes nothing
            again = [Event(id_, "ann", "tea") for id_ in acknowledged[-20:]]
            assert not any(store.add(again).is_new)
        n_acknowledged += len(acknowledged)
        store.close()
    assert n_acknowledged > 0
    print(f"{N_KILLS} kills, {n_acknowledged} events acknowledged, {len(kept)} kept")
    assert [found.number for found in opened(url).since()] == list(range(1, len(kept) + 1))
