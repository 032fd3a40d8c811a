"""Words of texts: a column of texts -> how often each row has each known word, and TF-IDF weights of these counts.

Words are runs of letters in lower case, without digits. Scripts that write no blanks between words (Chinese, Japanese,
Thai and others) give pairs of neighboring letters instead. Markup and web addresses are no words. There is no list of
words to leave out: what stands in more than half of all texts says little in any language.

Source: Manning, Raghavan & Schuetze (2008), Introduction to Information Retrieval, chapter 6, for TF-IDF with
logarithmic counts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from palate.data.rows import CompressedRows
from palate.kernels import compress_rows

if TYPE_CHECKING:
    import polars as pl

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
WORD = rf"[{UNSPACED}]+|[\w--{UNSPACED}_]+"
NO_WORDS = r"(?i)<[^<>]{1,300}>|&#?[0-9a-z]{1,12};|\b(?:https?://|www\.)\S+"
NO_WORD = r"^.$|\p{N}|.{41}"  # one letter, something with a digit, or 41 letters and more
MAX_CHARACTERS = 20_000  # of a text; what follows is not read
CHARACTERS_AT_ONCE = 4_000_000  # of the texts whose words are found at once
ROWS_LEARNED = 50_000  # words are learned from so many texts, evenly spaced
CHARACTERS_LEARNED = 60_000_000  # ... and characters
MAX_WORDS = 20_000  # the words of most texts
MIN_WORDS = 8  # of most texts of a column that is prose; titles and names have fewer
MIN_WORDS_OF_A_PART = 4  # of a text between separators; classes have fewer
MIN_SHARED = 0.2  # of the words of prose stand in other texts too; of hashes and codes none
ROWS_LOOKED_AT, CHARACTERS_LOOKED_AT = 1_000, 500
MAX_SHARE = 0.5  # of the texts that a word may stand in


def sampled(texts: pl.Series) -> pl.Series:
    """At most ROWS_LEARNED texts with CHARACTERS_LEARNED characters, evenly spaced."""
    n_characters = int(texts.str.len_chars().clip(0, MAX_CHARACTERS).sum())
    return texts.gather_every(1 + max(len(texts) // ROWS_LEARNED, n_characters // CHARACTERS_LEARNED))


def are_prose(texts: pl.Series, separator: str = "") -> bool:
    """True if most texts have MIN_WORDS words or more, many of them words of other texts too. texts: without nulls.

    Texts with a separator are prose only if they have MIN_WORDS_OF_A_PART words or more between two of them.
    """
    sample = texts.gather_every(1 + len(texts) // ROWS_LOOKED_AT)
    words = _words(sample.str.head(CHARACTERS_LOOKED_AT))
    counts = np.bincount(words["row"].to_numpy(), minlength=len(sample))
    if len(counts) == 0 or np.median(counts) < MIN_WORDS:
        return False
    n_parts = len(sample) + int(sample.str.head(CHARACTERS_LOOKED_AT).str.count_matches(separator, literal=True).sum())
    if separator and words.height < MIN_WORDS_OF_A_PART * n_parts:
        return False
    n_texts = words.unique()["word"].value_counts(name="n")
    n_shared = words.join(n_texts.filter(n_texts["n"] > 1), on="word").height
    return n_shared >= MIN_SHARED * words.height


def learned_words(texts: pl.Series, min_rows: int) -> tuple[list[str], NDArray[np.float32]]:
    """The words on at least min_rows texts and at most half of them, in order, and their inverse frequencies.

    texts: without nulls. The inverse frequency of a word on n of N texts is 1 + log((1 + N) / (1 + n)).
    """
    import polars as pl

    per_block = [words["word"].value_counts(name="n") for _, words in _blocks_of_words(texts)]
    if not per_block:
        return [], np.zeros(0, np.float32)
    counts = pl.concat(per_block).group_by("word").agg(pl.col("n").sum())
    common = counts.filter(counts["n"].is_between(max(min_rows, 2), max(MAX_SHARE * len(texts), min_rows)))
    kept = common.sort(["n", "word"], descending=[True, False]).head(MAX_WORDS).sort("word")
    idf = 1 + np.log((1 + len(texts)) / (1 + kept["n"].to_numpy()))
    return kept["word"].to_list(), idf.astype(np.float32)


def weighted_words(texts: pl.Series, codes: pl.DataFrame, idf: NDArray[np.float32]) -> Iterator[CompressedRows]:
    """TF-IDF weights of the known words of each text, in blocks of rows; rows have norm 1, or no entry.

    texts: without nulls. codes: the frame of `codes_of`.
    """
    for n, words in _blocks_of_words(texts):
        known = words.join(codes, on="word").sort("row", "code")
        rows, columns = (known[name].to_numpy().astype(np.int32) for name in ("row", "code"))
        weights = (1 + np.log(known["n"].to_numpy())) * idf[columns]
        squares = np.bincount(rows, np.square(weights), n)
        values = (weights / np.sqrt(squares[rows])).astype(np.float32)
        yield CompressedRows(*compress_rows(rows, columns, values, None, n))


def codes_of(words: Sequence[str]) -> pl.DataFrame:
    """A frame of the words and their codes, 0 to n - 1."""
    import polars as pl

    codes = pl.Series(range(len(words)), dtype=pl.Int32)
    return pl.DataFrame({"word": pl.Series(words, dtype=pl.String), "code": codes})


def _blocks_of_words(texts: pl.Series) -> Iterator[tuple[int, pl.DataFrame]]:
    """(number of texts, frame of row, word and count n) for each block of texts."""
    import polars as pl

    sizes = texts.str.len_chars().clip(0, MAX_CHARACTERS).cum_sum().to_numpy()
    block_of_row = sizes // CHARACTERS_AT_ONCE
    starts = np.flatnonzero(np.diff(block_of_row, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(texts)]):
        words = _words(texts[start:end])
        yield end - start, words.group_by("row", "word").agg(pl.len().alias("n"))


def _words(texts: pl.Series) -> pl.DataFrame:
    """(row, word) for each word of each text."""
    import polars as pl

    plain = _normalized(texts.str.head(MAX_CHARACTERS).str.replace_all(NO_WORDS, " ")).str.to_lowercase()
    found = pl.DataFrame({"row": pl.Series(range(len(plain)), dtype=pl.Int32), "word": plain.str.extract_all(WORD)})
    words = found.explode("word").drop_nulls()
    unspaced = words["word"].str.contains(f"[{UNSPACED}]")
    if unspaced.any():
        pairs = words.filter(unspaced).with_columns(pl.col("word").map_elements(_pairs, pl.List(pl.String)))
        words = pl.concat([words.filter(~unspaced), pairs.explode("word")])
    return words.filter(~words["word"].str.contains(NO_WORD))


def _pairs(letters: str) -> list[str]:
    return [first + second for first, second in pairwise(letters)]


def _normalized(texts: pl.Series) -> pl.Series:
    """The texts with one spelling for letters that Unicode can write in several ways."""
    import polars as pl

    other = texts.str.contains(r"[^\x00-\x7F]")
    if not other.any():
        return texts
    changed = iter([unicodedata.normalize("NFKC", text) for text in texts.filter(other).to_list()])
    pairs = zip(texts.to_list(), other.to_list(), strict=True)
    return pl.Series([next(changed) if is_other else text for text, is_other in pairs], dtype=pl.String)
