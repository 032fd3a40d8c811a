"""Files of ratings as people write them: random ratings in a random dialect, and what reading the file should give."""

import bz2
import csv
import gzip
import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

import palate
from palate.errors import PalateError

NAMES = {
    "user": ["user", "userId", "user_id", "reviewerID", "customer_id", "UserID", "username"],
    "item": ["item", "movieId", "item_id", "asin", "book", "productId", "ISBN"],
    "rating": ["rating", "stars", "overall", "Book-Rating", "score", "Rating"],
    "time": ["timestamp", "time", "unixReviewTime", "date", "created_at"],
}
WORDS = [
    "ann",
    "Bob O'Neil",
    "Zoë",
    "user one",
    "müller",
    'O"Hara',
    "a,b",
    "x;y",
    "tab",
    "李",
    "ok-1",
    "n.n.",
    "Q&A",
    "#9",
]
SCALES = [
    np.arange(1, 6),
    np.arange(1, 11) / 2,
    np.arange(0, 11),
    np.arange(1, 101),
    np.round(np.arange(-10, 10, 0.25), 2),
]
DATE_FORMS = {
    "seconds": lambda at: str(at),
    "milliseconds": lambda at: str(at * 1000),
    "iso": lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S"),
    "iso T": lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "d.m.y": lambda at: datetime.fromtimestamp(at, UTC).strftime("%d.%m.%Y"),
    "m/d/y": lambda at: datetime.fromtimestamp(at, UTC).strftime("%m/%d/%Y"),
    "d/m/y": lambda at: datetime.fromtimestamp(at, UTC).strftime("%d/%m/%Y"),
    "y/m/d": lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y/%m/%d"),
    "microseconds": lambda at: str(at * 1_000_000),
    "seconds.0": lambda at: f"{at}.0",
    "with zone": lambda at: datetime.fromtimestamp(at + 7200, UTC).strftime("%Y-%m-%dT%H:%M:%S+02:00"),
    "am/pm": lambda at: datetime.fromtimestamp(at, UTC).strftime("%m/%d/%Y %I:%M:%S %p"),
    "d.m.y h:m": lambda at: datetime.fromtimestamp(at // 60 * 60, UTC).strftime("%d.%m.%Y %H:%M"),
    "compact": lambda at: datetime.fromtimestamp(at, UTC).strftime("%Y%m%d"),
    "month name": lambda at: datetime.fromtimestamp(at, UTC).strftime("%d %b %Y"),
}
BY_DAY = ("d.m.y", "m/d/y", "d/m/y", "y/m/d", "month name", "compact")


@dataclass(frozen=True)
class Written:
    """A file, and what reading it should give.

    Attributes:
        data (bytes): The file.
        ending (str): The end of its name.
        rated (set): (user, item, rating) of every row.
        times (dict or None): (user, item) -> seconds since 1970.
        told (str): The dialect in words.
    """

    data: bytes
    ending: str
    rated: set
    times: dict | None
    told: str


def is_read(file, folder):
    """True if the file was read right, False if it was refused in words; an AssertionError says how it was misread."""
    path = folder / f"ratings{file.ending}"
    path.write_bytes(file.data)
    try:
        ratings = palate.read(path)
    except PalateError:
        return False
    users, items = (side.labels.tolist() for side in (ratings.user_vocabulary, ratings.item_vocabulary))
    pairs = [(users[u], items[i]) for u, i in zip(ratings.user_codes, ratings.item_codes, strict=True)]
    told = f"{file.told}: {ratings.report.taken}"
    assert {(*pair, value) for pair, value in zip(pairs, ratings.values.tolist(), strict=True)} == file.rated, told
    if ratings.times is not None:
        assert dict(zip(pairs, ratings.times.tolist(), strict=True)) == file.times, told
    return True


def written(seed):
    """Random ratings in a random dialect."""
    rng = np.random.default_rng(seed)
    pick = lambda options: options[rng.integers(len(options))]  # noqa: E731
    n_users, n_items = int(rng.integers(2, 12)), int(rng.integers(2, 12))
    users, items = _ids(rng, n_users), _ids(rng, n_items)
    pairs = [(u, i) for u in users for i in items if rng.random() < 0.7] or [(users[0], items[0])]
    rng.shuffle(pairs)
    pairs = [tuple(pair) for pair in pairs]
    ratings = rng.choice(pick(SCALES), len(pairs))
    form = pick([None, *DATE_FORMS])
    at = rng.integers(946_684_800, 1_700_000_000, len(pairs))
    at = at // 86_400 * 86_400 if form in BY_DAY else at // 60 * 60 if form == "d.m.y h:m" else at
    separator, mark = pick([",", ";", "\t", "|", "::"]), pick([".", ".", ","])
    columns = {"user": [u for u, _ in pairs], "item": [i for _, i in pairs]}
    columns["rating"] = _numbers(ratings.tolist(), mark, pick(["plain", "plain", "with a fraction", "out of", "stars"]))
    if form:
        columns["time"] = [DATE_FORMS[form](int(moment)) for moment in at]
    has_header = bool(rng.integers(3))
    names = {name: pick(NAMES[name]) for name in columns}
    if has_header:
        order = [str(name) for name in rng.permutation(list(columns))]
        for junk in [name for name in JUNK if rng.random() < 0.2]:
            order.insert(int(rng.integers(len(order) + 1)), junk)
            columns[junk], names[junk] = JUNK[junk](rng, len(pairs)), junk
    else:
        order = [name for name in ("user", "item", "rating", "time") if name in columns]
    rows = [[columns[name][row] for name in order] for row in range(len(pairs))]
    rows = [[names[name] for name in order], *rows] if has_header else rows
    end, encoding = (
        pick(["\n", "\n", "\r\n", "\r"]),
        pick(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    )
    text = _text(rows, separator, end, quote_all=bool(rng.integers(2)))
    if encoding == "cp1252" and text.encode("cp1252", "replace").decode("cp1252") != text:
        encoding = "utf-8"
    first = pick(["", "", "", f"sep={separator}{end}", f"# made up{end}"])
    data, ending = _packed((first + text).encode(encoding), pick(["", "", ".gz", ".bz2", ".zip"]))
    rated = {(u, i, float(np.float32(r))) for (u, i), r in zip(pairs, ratings.tolist(), strict=True)}
    times = {pair: int(moment) for pair, moment in zip(pairs, at, strict=True)} if form else None
    told = f"seed {seed}: {order} by {separator!r}, mark {mark}, times {form}, {encoding}, {end!r}, {first!r}, {ending}"
    return Written(data, ending, rated, times, told)


def _ids(rng, n):
    kind = rng.integers(4)
    if kind == 0:
        return [str(number) for number in rng.choice(100_000, n, replace=False)]
    if kind == 1:
        return [f"{number:06d}" for number in rng.choice(100_000, n, replace=False)]
    if kind == 2:
        return [f"{number:016x}-x" for number in rng.integers(2**60, size=n)]
    return [f"{word}{number}" for number, word in enumerate(rng.choice(WORDS, n))]


def _numbers(values, mark, form):
    if form == "stars" and set(values) <= {1, 2, 3, 4, 5}:
        return ["★" * int(value) + "☆" * (5 - int(value)) for value in values]
    texts = [repr(float(value)) if form == "with a fraction" else f"{value:g}" for value in values]
    if form == "out of" and min(values) >= 0:
        texts = [f"{text}/{max(10, int(max(values)))}" for text in texts]
    return [text.replace(".", mark) for text in texts]


def _text(rows, separator, end, *, quote_all):
    if len(separator) > 1:
        clean = [[field.replace(separator, " ") for field in row] for row in rows]
        return "".join(separator.join(row) + end for row in clean)
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)
    return out.getvalue()


def _packed(data, ending):
    if ending == ".gz":
        return gzip.compress(data), ".csv.gz"
    if ending == ".bz2":
        return bz2.compress(data), ".csv.bz2"
    if ending == ".zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("ratings.csv", data)
        return out.getvalue(), ".zip"
    return data, ".csv"


JUNK = {
    "": lambda rng, n: [str(at) for at in range(n)],  # noqa: ARG005
    "price": lambda rng, n: [f"{value:.2f}" for value in rng.uniform(1, 90, n)],
    "category": lambda rng, n: [("home", "garden", "toys")[at] for at in rng.integers(3, size=n)],
    "comment": lambda rng, n: [
        f"It was no. {at}, and one more thing to be said about that" for at in rng.integers(9, size=n)
    ],
    "link": lambda rng, n: [f"https://example.org/{at}" for at in rng.integers(99, size=n)],
    "empty": lambda rng, n: [""] * n,  # noqa: ARG005
    "age": lambda rng, n: [str(at) for at in rng.integers(14, 90, size=n)],
    "lat": lambda rng, n: [f"{at:.6f}" for at in rng.uniform(-90, 90, n)],
    "release_date": lambda rng, n: [
        f"{at}-0{month}-1{month}" for at, month in rng.integers((1950, 1), (2020, 9), (n, 2))
    ],
    "order_no": lambda rng, n: [f"O-{at}" for at in rng.integers(10**6, size=n)],
    "title": lambda rng, n: [("The Thing", "Up, up", "Heat (1995)")[at] for at in rng.integers(3, size=n)],
    "verified": lambda rng, n: [("True", "False")[at] for at in rng.integers(2, size=n)],
    "price_eur": lambda rng, n: [f"{value:.2f}".replace(".", ",") for value in rng.uniform(1, 90, n)],
    "helpful": lambda rng, n: [str(at) for at in rng.integers(40, size=n)],
}
