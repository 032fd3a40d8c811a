"""Columns of texts: what is a text, which words count, and the same features as scikit-learn's up to rotation."""

import hashlib
import json
import os
import subprocess
import sys
import uuid

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer

from palate.data.features import Features
from palate.data.features import words as words_module
from palate.data.features.words import codes_of, learned_words, weighted_words
from palate.errors import DataError, OptionError

few = settings(max_examples=25, deadline=None)
LETTERS = "bcdfghjklmnpqrstvwz"
WORDS = [first + vowel + second + "a" for first in LETTERS for vowel in "aeiou" for second in LETTERS][:400]


def prose(n=120, length=15, seed=0, words=WORDS):
    """Texts of random words, the first ones more often."""
    rng = np.random.default_rng(seed)
    chances = 1 / (5 + np.arange(len(words)))
    return [" ".join(rng.choice(words, length, p=chances / chances.sum())) for _ in range(n)]


def found_in(texts):
    """Each text's words as palate finds them, sorted."""
    found = words_module._words(pl.Series(texts, dtype=pl.String))
    return [sorted(found.filter(found["row"] == row)["word"].to_list()) for row in range(len(texts))]


def kernel_of(matrix):
    """Products of all pairs of centered rows, in units of their mean square: what no rotation changes."""
    centered = matrix - matrix.mean(axis=0)
    products = centered @ centered.T
    return products / np.trace(products) * len(matrix)


# ---- against scikit-learn


def test_weights_of_words_are_those_of_scikit_learn():
    texts = prose()
    words, idf = learned_words(pl.Series(texts), min_rows=3)
    theirs = TfidfVectorizer(sublinear_tf=True, min_df=3, max_df=0.5)
    expected = theirs.fit_transform(texts).toarray()
    assert words == theirs.get_feature_names_out().tolist()
    np.testing.assert_allclose(idf, theirs.idf_, rtol=1e-6)
    (block,) = weighted_words(pl.Series(texts), codes_of(words), idf)
    ours = np.zeros(expected.shape)
    ours[np.repeat(np.arange(len(texts)), block.counts), block.indices] = block.values
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_features_are_the_principal_components_of_scikit_learn():
    texts = prose()
    features = Features.learned({"about": texts})
    weights = TfidfVectorizer(sublinear_tf=True, min_df=2, max_df=0.5).fit_transform(texts).toarray()
    expected = PCA(12, svd_solver="full").fit_transform(weights)
    dense = features.encode({"about": texts}).to_dense().astype(float)
    assert features.names == [f"about {n}" for n in range(1, 13)]
    np.testing.assert_allclose(dense.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.square(dense).sum(axis=1).mean(), 1, rtol=1e-4)
    assert (np.diff(np.square(dense).sum(axis=0)) < 0).all()
    # Random words have no clear last direction, so what is compared is what the directions keep.
    kept = np.square(weights - weights.mean(axis=0)).sum()
    ours = np.linalg.qr(dense)[0]
    assert np.square(ours.T @ (weights - weights.mean(axis=0))).sum() > 0.995 * np.square(expected).sum()
    assert np.square(expected).sum() < kept


def test_texts_of_clear_topics_give_scikit_learns_features_exactly():
    rng = np.random.default_rng(1)
    topics = [WORDS[at : at + 30] for at in range(0, 150, 30)]
    texts = [" ".join(rng.choice(topics[row % 5], 20)) for row in range(50)]
    features = Features.learned({"about": texts})
    weights = TfidfVectorizer(sublinear_tf=True, min_df=2, max_df=0.5).fit_transform(texts).toarray()
    d = features.n_features
    expected = PCA(4, svd_solver="full").fit_transform(weights)
    ours = features.encode({"about": texts}).to_dense()[:, :4]
    assert d == 5
    np.testing.assert_allclose(kernel_of(ours.astype(float)), kernel_of(expected), atol=2e-3)


# ---- which columns are texts

HOSTILE = {
    "ids": [f"item-{n}" for n in range(60)],
    "hashes": [hashlib.sha256(bytes([n])).hexdigest() for n in range(60)],
    "many hashes": [" ".join(hashlib.md5(bytes([n, m])).hexdigest() for m in range(12)) for n in range(60)],
    "uuids": [str(uuid.UUID(int=n * 7**40)) for n in range(60)],
    "addresses": [f"https://example.org/a/film/with/many/words/in/it/{n}" for n in range(60)],
    "names": [f"{first} {last}" for first in WORDS[:10] for last in WORDS[10:16]],
    "one word each": WORDS[:60],
    "words of their own": [
        " ".join(f"{a}{b}{c}{d}" for d in LETTERS[:12]) for a in "bcd" for b in "aeio" for c in "fghjk"
    ],
    "codes": [f"{n:05d} {n * 7:08x} {n * 11:06d} a{n} b{n} c{n} d{n} e{n}" for n in range(60)],
    "empty": ["", " "] * 30,
    "markup alone": [f"<p class='a b c d e f g h'><br/>&nbsp;&amp;{n}</p>" for n in range(60)],
    "titles": [f"The {WORDS[n]} of the {WORDS[n + 1]}" for n in range(60)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_prose_is_not_taken_for_text(name):
    features = Features.learned({"x": HOSTILE[name]})
    assert not features.report["x"].startswith("text")
    for declared in (["x"], []):
        try:
            design = Features.learned({"x": HOSTILE[name]}, text=declared).encode({"x": HOSTILE[name]})
            assert np.isfinite(design.values).all()
        except DataError as error:
            assert "'x' cannot become features" in str(error)


def test_dates_and_numbers_as_text_stay_what_they_are():
    dates = [f"2020-01-{1 + n % 28:02d}" for n in range(60)]
    features = Features.learned({"x": dates, "y": [f"{n / 7:.3f}" for n in range(60)]})
    assert [features.report[name].split(",")[0] for name in "xy"] == ["date", "continuous"]


PROSE = {
    "prose": prose(60),
    "with bars": [text.replace(" ", " | ", 1) for text in prose(60)],
    "with commas": [text.replace(" ", ", ") if n % 3 else text for n, text in enumerate(prose(60, 40))],
    "with years": [f"{text} (1990)" for text in prose(60)],
    "markup": [f"<p>{text.replace(' ', '<br>')}</p>" for text in prose(60)],
    "repeated": prose(50) * 3,
    "very long": [text * 400 for text in prose(25)],
    "Cyrillic": prose(
        60, words=[first + vowel + second for first in "бвгдж" for vowel in "аеиоу" for second in "клмнп"]
    ),
    "Greek": prose(60, words=[first + vowel + second for first in "βγδζθ" for vowel in "αεηιο" for second in "κλμνξ"]),
    "Arabic": prose(60, words=[first + middle + last for first in "بتثجح" for middle in "دذرزس" for last in "شصضطظ"]),
    "Chinese": [text.replace(" ", "") for text in prose(60, words=list("天地玄黃宇宙洪荒日月盈昃辰宿列張"))],
    "Japanese": [text.replace(" ", "") for text in prose(60, words=list("あいうえおかきくけこさしすせそ"))],
    "Thai": [text.replace(" ", "") for text in prose(60, words=list("กขคงจฉชซญดตถทนบ"))],
}


@pytest.mark.parametrize("name", PROSE)
def test_prose_becomes_text_in_any_script(name):
    features = Features.learned({"x": PROSE[name]})
    assert features.report["x"].startswith("text, ")
    dense = features.encode({"x": PROSE[name]}).to_dense()
    assert dense.any(axis=1).mean() > 0.95
    np.testing.assert_allclose(np.square(dense).sum(axis=1)[dense.any(axis=1)].mean(), 1, atol=0.01)


def test_lists_of_classes_stay_lists():
    rng = np.random.default_rng(0)
    lists = [", ".join(rng.choice(WORDS[:12], 9, replace=False)) for _ in range(80)]
    assert Features.learned({"x": lists}).report["x"].startswith("multi-valued, at ','")


def test_a_text_can_be_declared_and_excluded():
    titles = [f"{WORDS[n % 20]} {WORDS[20 + n % 17]}" for n in range(60)]
    assert Features.learned({"title": titles}).report["title"].startswith("left out: 60 different texts")
    assert Features.learned({"title": titles}, text=["title"]).report["title"].startswith("text, 6 dimensions of 3")
    assert Features.learned({"x": prose()}, exclude=["x"]).n_features == 0
    with pytest.raises(OptionError, match="named twice"):
        Features.learned({"x": prose()}, text=["x"], vectors=["x"])
    with pytest.raises(DataError, match=r"'x' cannot become features: 12 texts .* where 20 are needed"):
        Features.learned({"x": prose(12)}, text=["x"])
    with pytest.raises(DataError, match="'x' holds List"):
        Features.learned({"x": [["a"]] * 30}, text=["x"])


# ---- words


def test_words_are_found_in_any_script():
    texts = [
        "The Café, a café: CAFE\u0301!",
        "<b>big</b>&nbsp;news&#39; https://a.org/some/path x1y2 3d 1984 a",
        "映画を見る 手机",
        "don't_stop",
        "ﬁne ＡＢＣ",
        "",
    ]
    assert found_in(texts) == [
        ["café", "café", "café", "the"],
        ["big", "news"],
        ["を見", "手机", "映画", "画を", "見る"],
        ["don", "stop"],
        ["abc", "fine"],
        [],
    ]


def test_words_of_most_texts_and_of_one_text_alone_are_left_out():
    texts = [f"common {WORDS[n % 10]} own{WORDS[n]}" for n in range(60)]
    words, _ = learned_words(pl.Series(texts), min_rows=2)
    assert words == sorted(WORDS[:10])
    stored = json.dumps(Features.learned({"x": texts}, text=["x"]).to_dict())
    assert f"own{WORDS[3]}" not in stored


def test_blocks_change_nothing(monkeypatch):
    texts = [text * 3 if n % 4 else None for n, text in enumerate(prose(200))]
    features = Features.learned({"x": texts})
    whole = features.encode({"x": texts})
    monkeypatch.setattr(words_module, "CHARACTERS_AT_ONCE", 700)
    in_blocks = features.encode({"x": texts})
    assert Features.learned({"x": texts}) == features
    for name in ("indptr", "indices", "values"):
        np.testing.assert_array_equal(getattr(in_blocks, name), getattr(whole, name))


def test_what_follows_a_long_beginning_is_not_read(monkeypatch):
    monkeypatch.setattr(words_module, "MAX_CHARACTERS", 50)
    assert found_in(["a" * 10 + " " + "bb " * 1000])[0].count("bb") == 13


def test_many_texts_are_learned_from_evenly(monkeypatch):
    monkeypatch.setattr(words_module, "ROWS_LEARNED", 50)
    texts = prose(400)
    features = Features.learned({"x": texts})
    assert features.report["x"].startswith("text, 4 dimensions")
    assert features.encode({"x": texts}).to_dense().any(axis=1).all()


# ---- rows


def test_missing_texts_and_unknown_words_have_no_cells():
    features = Features.learned({"x": [*prose(), None, ""]})
    design = features.encode_rows([{}, {"x": None}, {"x": ""}, {"x": "nothing known here"}, {"x": WORDS[50]}])
    assert (np.diff(design.indptr) > 0).tolist() == [False, False, False, False, True]
    assert design.unknown == {"x": 1}


@few
@given(st.lists(st.none() | st.text(max_size=40) | st.sampled_from(prose(20)), min_size=1, max_size=8))
def test_rows_do_not_depend_on_their_neighbors(texts):
    features = Features.learned({"x": prose()})
    together = features.encode({"x": pl.Series(texts, dtype=pl.String)}).to_dense()
    for row, text in enumerate(texts):
        np.testing.assert_allclose(features.encode_rows({"x": text}).to_dense()[0], together[row], atol=1e-6)


def test_the_stored_form_encodes_the_same():
    features = Features.learned({"x": prose(), "kind": ["a", "b", "c"] * 40})
    restored = Features.from_dict(json.loads(json.dumps(features.to_dict(), allow_nan=False)))
    assert restored == features
    assert features != Features.learned({"x": prose(seed=1), "kind": ["a", "b", "c"] * 40})
    others = {"x": prose(seed=2), "kind": ["c", "a", None] * 40}
    np.testing.assert_array_equal(restored.encode(others).values, features.encode(others).values)


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("words", ["a"]), ("words", "ab"), ("idf", [1.0]), ("idf", 3), ("components", [[1.0]]), ("components", []),
        ("components", [1.0, 2.0]), ("shift", []), ("shift", [["a"]]), ("name", 5), ("components", [[float("nan")]]),
    ],
)  # fmt: skip
def test_a_stored_text_with_a_wrong_part_is_refused(part, wrong):
    stored = Features.learned({"x": prose()}).to_dict()
    stored["fields"][0][part] = wrong
    with pytest.raises(DataError, match="not a description of features"):
        Features.from_dict(stored)


def test_stored_words_are_distinct_and_their_weights_positive():
    stored = Features.learned({"x": prose()}).to_dict()
    field = stored["fields"][0]
    n = len(field["words"])
    for change in ({"idf": [-1.0] * n}, {"words": ["a"] * n}, {"idf": [1e9] * n}):
        with pytest.raises(DataError, match="not a description of features"):
            Features.from_dict(stored | {"fields": [field | change]})


def test_the_same_bytes_at_any_number_of_threads(tmp_path):
    """Learned and encoded in processes of 1 and 3 threads of polars, of BLAS and of the kernels."""
    code = (
        "import hashlib, json, sys\n"
        "import numpy as np, polars as pl\n"
        "from palate.data.features import Features\n"
        "table = pl.read_parquet(sys.argv[1])\n"
        "features = Features.learned(table)\n"
        "design = features.encode(table)\n"
        "print(hashlib.sha256(json.dumps(features.to_dict()).encode() + design.values.tobytes()).hexdigest())"
    )
    vectors = np.random.default_rng(0).standard_normal((900, 40), dtype=np.float32)
    pl.DataFrame({"x": prose(900, 40), "v": vectors}).write_parquet(tmp_path / "table.parquet")
    found = set()
    for threads in ("1", "3"):
        variables = dict.fromkeys(("POLARS_MAX_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), threads)
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "table.parquet")],
            capture_output=True, text=True, check=True, env=os.environ | variables,
        )  # fmt: skip
        found.add(run.stdout)
    assert len(found) == 1
