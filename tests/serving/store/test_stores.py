"""What every store does, whatever is behind it."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from palate.errors import FeedbackError, StoreError
from palate.serving.store import Event, Item, Key, open_store

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
HARD = [
    "",
    " ",
    "ann",
    "Ann",
    "ann ",
    "ä",
    "a\u0308",
    "\\N",
    "\\.",
    "\t\n\r",
    "'; DROP TABLE events; --",
    "\ufeff",
    "𝔘" * 5000,
]


def event(n, user="ann", item="tea", **more):
    return Event(f"e{n}", user, item, **more)


def test_events_come_back_as_they_were_added(store):
    events = [
        event(1, value=4.5, time=1_700_000_000, answer="a-1"),
        event(2, event="view", time=-5),
        event(3, value=-0.25),
    ]
    added = store.add(events)
    assert added.is_new == (True, True, True)
    stored = store.of_user("ann")
    assert [found.event for found in stored] == events
    numbers = [found.number for found in stored]
    assert 0 < numbers[0] < numbers[1] < numbers[2] == added.number == store.last()
    assert list(store.since()) == stored
    assert store.count() == 3


def test_an_empty_store(store):
    assert (store.last(), store.count(), store.of_user("ann"), list(store.since())) == (0, 0, [], [])
    assert store.add([]) == ((), 0)
    assert (store.items(), store.keys(), store.is_forgotten(["ann"])) == ([], [], [False])
    store.put_items([])
    assert not store.remove_key("nobody")


def test_an_id_counts_once(store):
    first = store.add([event(1, value=1), event(1, value=2), event(2)])
    assert first.is_new == (True, False, True)
    again = store.add([event(2, value=9), event(3), event(1, user="bob")])
    assert again.is_new == (False, True, False)
    assert again.number > first.number
    assert [found.event for found in store.since()] == [event(1, value=1), event(2), event(3)]
    assert store.of_user("bob") == []
    assert store.add([event(1)]) == ((False,), again.number)
    assert store.count() == 3


def test_a_part_of_the_events_can_be_asked_for(store):
    store.add([event(n, user="ann" if n % 2 else "bob") for n in range(10)])
    numbers = [found.number for found in store.since()]
    assert [found.number for found in store.since(numbers[3], numbers[7])] == numbers[4:8]
    assert [found.event.id for found in store.of_user("bob", after=numbers[3])] == ["e4", "e6", "e8"]
    assert list(store.since(numbers[-1])) == []


def test_many_events_come_in_order_and_what_comes_meanwhile_is_left_for_later(store):
    store.add([event(n, user=f"user {n % 7}") for n in range(2500)])
    reading = store.since()
    seen = [next(reading)]
    store.add([event(9999)])
    seen += reading
    assert [found.event.id for found in seen] == [f"e{n}" for n in range(2500)]
    assert [found.event.id for found in store.since(seen[-1].number)] == ["e9999"]


def test_labels_are_any_text(store):
    for text in HARD:
        hard = Event(f"id {text}", text, text, 1.0, text, 5, text)
        assert store.add([hard, hard._replace(id=f"other {text}", user=f"{text}.")]).is_new == (True, True)
        assert [found.event for found in store.of_user(text)] == [hard]
        store.put_items([Item(text, {text: text, "nothing": None})])
        assert store.items()[-1] == Item(text, {text: text, "nothing": None})
        assert store.forget(text).n_events == 1
        assert store.is_forgotten([text, f"{text}."]) == [True, False]


BAD = [
    (Event("e\0", "ann", "tea"), r"the id of event 'e\\x00' has a NUL"),
    (Event("e1", "a\0", "tea"), r"event 'e1': the user has a NUL character \(\\0\), .*leave it out"),
    (Event("e1", "ann", "\ud800"), "event 'e1': the item has half of a surrogate pair"),
    (Event("e1", "ann", "tea", event="\0"), "the kind of event has a NUL"),
    (Event("e1", "ann", "tea", answer="\udfff"), "the answer's id has half"),
    (Event("", "ann", "tea"), "has no id"),
    (Event("e1", 5, "tea"), "the user must be a text, not int"),
    (Event("e1", "ann", "tea", float("nan")), "a finite number or None, not nan"),
    (Event("e1", "ann", "tea", float("-inf")), "a finite number"),
    (Event("e1", "ann", "tea", 10**400), "a finite number"),
    (Event("e1", "ann", "tea", True), "a finite number"),
    (Event("e1", "ann", "tea", time=1.5), "a whole number of seconds since 1970, not 1.5"),
    (Event("e1", "ann", "tea", time=2**63), "a whole number of seconds"),
]


def test_what_no_database_keeps_is_refused_in_words_and_nothing_is_kept(store):
    for bad, said in BAD:
        with pytest.raises(FeedbackError, match=said):
            store.add([event(7), bad])
    assert store.count() == 0
    assert store.add([event(7)]).is_new == (True,)


def test_questions_about_texts_that_no_database_keeps_are_refused(store):
    for ask in (store.of_user, store.forget, store.remove_key, lambda text: store.is_forgotten([text])):
        for text in ("a\0", "\ud800"):
            with pytest.raises(FeedbackError):
                ask(text)
    with pytest.raises(FeedbackError, match="label of item"):
        store.put_items([Item("\0", {})])
    for odd in (float("nan"), {1, 2}, b"bytes"):
        with pytest.raises(FeedbackError, match="attributes of item 'tea' do not fit into JSON"):
            store.put_items([Item("coffee", {}), Item("tea", {"x": odd})])
    assert store.items() == []


def test_a_forgotten_user_and_one_who_comes_back(store):
    store.add([event(1), event(2, user="bob"), event(3)])
    before = store.last()
    forgotten = store.forget("ann")
    assert forgotten.n_events == 2
    assert store.of_user("ann") == []
    assert [found.event.user for found in store.since()] == ["bob"]
    assert store.count() == 1
    assert store.last() == forgotten.number > before  # other processes see that something changed
    assert store.is_forgotten(["ann", "bob"]) == [True, False]
    when, never = store.forgettings(["ann", "bob"])
    assert when.number == forgotten.number
    assert when.time > 1_700_000_000
    assert never is None
    # A new user with the same label: new events count, the training ratings from before do not.
    assert store.add([event(4), event(1)]).is_new == (True, True)
    assert [found.event.id for found in store.of_user("ann")] == ["e4", "e1"]
    assert all(found.number > forgotten.number for found in store.of_user("ann"))
    assert store.is_forgotten(["ann"]) == [True]
    again = store.forget("ann")
    assert again.n_events == 2
    assert store.forgettings(["ann"])[0].number == again.number > forgotten.number


def test_a_user_without_events_can_be_forgotten(store):
    assert store.forget("only in the training ratings").n_events == 0
    assert store.is_forgotten(["only in the training ratings"]) == [True]


def test_items_keep_their_order_and_their_last_attributes(store):
    store.put_items(
        [Item("tea", {"year": 1990}), Item("jam", {"tags": ["a", "b"], "price": 1.5}), Item("tea", {"year": 2})]
    )
    store.put_items([Item("ale", {}), Item("jam", {"ok": True})])
    assert store.items() == [Item("tea", {"year": 2}), Item("jam", {"ok": True}), Item("ale", {})]


def test_keys(store):
    reader, owner = Key("reader", b"\x00\xff", frozenset({"read"})), Key("an owner", b"", frozenset({"read", "write"}))
    store.add_key(reader)
    store.add_key(owner)
    assert store.keys() == [reader, owner]
    with pytest.raises(FeedbackError, match="there is a key 'reader' already"):
        store.add_key(reader._replace(digest=b"other"))
    assert store.remove_key("reader")
    assert not store.remove_key("reader")
    store.add_key(reader)
    assert store.keys() == [owner, reader]
    for name in ("", "x" * 201, "\0"):
        with pytest.raises(FeedbackError, match="name of a key"):
            store.add_key(Key(name, b"", frozenset()))


def test_a_store_is_there_when_it_is_opened_again(url, opened):
    store = opened(url)
    store.add([event(1), event(2, user="bob")])
    store.forget("bob")
    store.put_items([Item("tea", {"a": 1})])
    last = store.last()
    store.close()
    store.close()
    again = opened(url)
    assert (again.last(), again.count(), again.is_forgotten(["bob"])) == (last, 1, [True])
    assert [found.event for found in again.of_user("ann")] == [event(1)]
    assert again.items() == [Item("tea", {"a": 1})]
    assert again.add([event(1)]).is_new == (False,)


def test_a_closed_store_says_so(store):
    store.close()
    for ask in (store.last, store.count, lambda: store.add([event(1)]), lambda: store.of_user("ann")):
        with pytest.raises(StoreError, match="closed"):
            ask()


def test_two_that_have_a_store_open_see_what_the_other_did(url, opened):
    one, two = opened(url), opened(url)
    for n in range(20):
        added = one.add([event(n)])
        assert (one.last(), two.last()) == (added.number, added.number)
        assert two.add([event(n)]).is_new == (False,)
    number = two.forget("ann").number
    assert (one.last(), one.count()) == (number, 0)


def test_threads_add_the_same_ids_and_each_is_kept_once(store):
    counts = []

    def work():
        counts.append(sum(sum(store.add([event(n), event(n + 1)]).is_new) for n in range(0, 60, 2)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == store.count() == len({found.event.id for found in store.since()}) == 60
    numbers = [found.number for found in store.since()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == store.last()


IDS = st.sampled_from([f"e{n}" for n in range(12)])
USERS = st.sampled_from(["ann", "bob", "", "ä"])
EVENTS = st.builds(
    Event,
    id=IDS,
    user=USERS,
    item=TEXTS,
    value=st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    event=st.none() | TEXTS,
    time=st.integers(-(2**63) + 1, 2**63 - 1),
    answer=st.none() | TEXTS,
)


class Compared(RuleBasedStateMachine):
    """A store beside a dictionary. The store is emptied between runs by new ids: each run has users of its own."""

    store = None
    runs = 0

    def __init__(self):
        super().__init__()
        type(self).runs += 1
        self.run = f"{self.runs}:"
        self.begin = self.last = self.store.last()
        self.others = self.store.count()
        self.events, self.forgotten = {}, set()

    def own(self, event):
        return event._replace(id=self.run + event.id, user=self.run + event.user)

    @rule(events=st.lists(EVENTS, max_size=8))
    def add(self, events):
        events = [self.own(event) for event in events]
        expected = []
        for event in events:
            expected.append(event.id not in self.events)
            self.events.setdefault(event.id, event)
        added = self.store.add(events)
        assert added.is_new == tuple(expected)
        assert added.number == self.store.last()
        assert added.number > self.last if any(expected) else added.number == self.last
        self.last = added.number

    @rule(user=USERS)
    def forget(self, user):
        kept = {key: event for key, event in self.events.items() if event.user != self.run + user}
        forgotten = self.store.forget(self.run + user)
        assert forgotten.n_events == len(self.events) - len(kept)
        assert forgotten.number > self.last
        self.last, self.events = forgotten.number, kept
        self.forgotten.add(self.run + user)

    @rule(user=USERS, share=st.floats(0, 1))
    def read_a_user(self, user, share):
        stored = list(self.store.since(self.begin))
        after = self.begin + int(share * (self.last - self.begin))
        of_user = [found for found in stored if found.event.user == self.run + user and found.number > after]
        assert self.store.of_user(self.run + user, after) == of_user
        assert self.store.is_forgotten([self.run + user]) == [self.run + user in self.forgotten]

    @rule()
    def read_all(self):
        stored = list(self.store.since(self.begin))
        assert [found.event for found in stored] == list(self.events.values())
        numbers = [found.number for found in stored]
        assert numbers == sorted(set(numbers))
        assert self.store.last() == self.last
        assert self.store.count() == self.others + len(self.events)

    def teardown(self):
        self.read_all()


def test_any_sequence_of_adds_forgets_and_reads_is_as_in_a_dictionary(url, opened):
    machine = type("Compared", (Compared,), {"store": opened(url)})
    run_state_machine_as_test(machine, settings=settings(max_examples=15, stateful_step_count=12))


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(labels=st.lists(TEXTS, min_size=1, max_size=10, unique=True))
def test_texts_that_differ_are_different_users(store, labels):
    for label in labels:
        store.add([Event(f"{len(labels)} {label!a} {n}", label, "tea") for n in range(2)])
    for label in labels:
        assert {found.event.user for found in store.of_user(label)} == {label}


def test_open_store_knows_what_it_is_given(tmp_path, monkeypatch, opened):
    monkeypatch.chdir(tmp_path)
    for url in ("a.db", "sqlite:///b.db", f"sqlite:///{tmp_path}/c.db", tmp_path / "d: e.db", "nt:f.db"):
        opened(url)
    assert {path.name for path in tmp_path.iterdir() if path.suffix == ".db"} == {
        "a.db",
        "b.db",
        "c.db",
        "d: e.db",
        "nt:f.db",
    }
    for url, said in {
        "": "has no name",
        ":memory:": "would be lost",
        "sqlite://": "would be lost",
        "sqlite:///:memory:": "would be lost",
        "sqlite://a.db": "three slashes",
        "mysql://somewhere": "no store of the kind mysql: give a path",
    }.items():
        with pytest.raises(StoreError, match=said):
            open_store(url)
