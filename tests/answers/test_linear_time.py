"""What a caller hands over is handled in time that grows with it, not with its square: counted, not timed."""

import pytest

import palate
from palate.data.features import Features

N = 200  # items that the models know
COUNT = [0]


class Counted(int):
    """An id that counts how often it is compared or hashed."""

    def __eq__(self, other):
        COUNT[0] += 1
        return int(self) == int(other)

    def __hash__(self):
        COUNT[0] += 1
        return hash(int(self))


class CountedText(str):
    """The same for text, where text of another type may stand: titles and names of columns."""

    __slots__ = ()

    def __eq__(self, other):
        COUNT[0] += 1
        return str(self) == str(other)

    def __hash__(self):
        COUNT[0] += 1
        return hash(str(self))


def fitted(recipe, **options):
    users = [u for u in range(20) for _ in range(N // 2)]
    items = [(u + 2 * i) % N for u in range(20) for i in range(N // 2)]
    values = [1 + (u + i) % 5 for u, i in zip(users, items, strict=True)]
    titles = {"item": list(range(N)), "title": [f"Item {i}" for i in range(N)]}
    columns = {"user": users, "item": items} | ({} if options else {"rating": values})
    return recipe.fit(palate.read(columns, items=titles, **options), progress=False)


ALS = fitted(palate.ALS(n_factors=2, n_sweeps=2, seed=1))
LIKES = fitted(palate.ImplicitALS(n_factors=2, n_sweeps=2, seed=1), kind="implicit")


def labels(n):
    return [Counted(i) for i in range(n)]


def titles(n):
    return [CountedText(f"Item {i}") for i in range(n)]


def named_twice(n):
    """Labels and, at the end, the last of them by its title."""
    return dict.fromkeys([*labels(n), f"Item {n - 1}"], 1)


ENTRANCES = {
    "fold_in of a list": lambda n: LIKES.fold_in(labels(n)),
    "fold_in of counts": lambda n: LIKES.fold_in(dict.fromkeys(labels(n), 2)),
    "fold_in of ratings": lambda n: ALS.fold_in(dict.fromkeys(labels(n), 3)),
    "fold_in of titles": lambda n: ALS.fold_in(dict.fromkeys(titles(n), 3)),
    "fold_in of one twice": lambda n: ALS.fold_in(named_twice(n)),
    "items=": lambda n: ALS.recommend(0, items=labels(n)),
    "items= by title": lambda n: ALS.recommend(0, items=titles(n)),
    "items= of each user": lambda n: ALS.recommend([0, 1], items={0: labels(n), 1: labels(n)}),
    "exclude=": lambda n: ALS.recommend(0, exclude=labels(n)),
    "exclude= of each user": lambda n: ALS.recommend([0, 1], exclude={Counted(u): labels(9) for u in range(n)}),
    "recommend": lambda n: ALS.recommend(labels(n), n=1),
    "predict": lambda n: ALS.predict([0] * n, labels(n)),
    "similar_items": lambda n: ALS.similar_items(0, items=labels(n)),
    "similar_items of many": lambda n: ALS.similar_items(labels(n), n=1),
    "ask": lambda n: ALS.ask(1, exclude=labels(n)),
    "forget": lambda n: ALS.forget(items=labels(n // 2)),
    "read": lambda n: palate.read({"user": labels(n), "item": labels(n), "rating": [1] * n}),
    "Vocabulary": lambda n: palate.Vocabulary(labels(n)),
    "Vocabulary.encode": lambda n: ALS.model.item_vocabulary.encode(labels(n)),
    "columns to exclude": lambda n: Features.learned(
        {str(i): [1, 2] for i in range(n)}, exclude=[CountedText(i) for i in range(n)]
    ),
    "columns of a text file": lambda n: palate.data.native.distinct_names([CountedText(f"c{i}") for i in range(n)]),
}


def operations(entrance, n):
    COUNT[0] = 0
    try:
        ENTRANCES[entrance](n)
    except palate.errors.PalateError:
        assert entrance in ("fold_in of one twice", "exclude= of each user", "recommend")
    return COUNT[0]


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_twice_as_much_takes_at_most_twice_as_many_operations(entrance):
    operations(entrance, N // 4)  # builds what is kept
    half, whole = operations(entrance, N // 2), operations(entrance, N)
    assert whole <= 2.2 * half + 50
    assert whole <= 60 * N
