"""Foreign texts: files of text whose lines are no rows of fields, known by their first lines, and what to do with each.

Read as if they were separated by blanks or commas, they would give columns that nobody can name.
"""

from __future__ import annotations

import re

from palate.errors import DataError

N_LINES = 60  # that are looked at
DRAWN = re.compile(r"\s*[+|]?\s*:?[-=]{2,}:?\s*([+|]\s*:?[-=]+:?\s*)+[+|]?\s*")
KEYED = re.compile(r"([A-Za-z][\w/-]*): ")
FORMATS = tuple(  # what the text begins with, or a line of it -> what it is, and what to do
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), says)
    for pattern, says in (
        (r"\A(%.*\n|\s)*@relation\b", "an ARFF file of Weka: save it as CSV there"),
        (
            r"^(insert into|create table|copy \S+ \(.*from stdin|-- (mysql|mariadb|postgresql|sqlite)\b)",
            "a dump of a database: load it there and export the table as CSV, or pass a query with connection=",
        ),
        (r"\Aversion https://git-lfs", "a pointer of Git LFS and not the file itself: fetch it with git lfs pull"),
        (r"\Aouts:\s*$", "a pointer of DVC and not the file itself: fetch it with dvc pull"),
        (r"\A(---\s*\n)?- [\w\"']+: ", "YAML: load it with yaml.safe_load and pass polars.DataFrame of it"),
        (r"\A\S+ \|\w+ .*\n\S+ \|\w+ ", "a Vowpal Wabbit file: give the data as CSV"),
        (
            r"\A\d+\|\d+\s*\n\d+\t",
            "written in blocks, user|number with the items below: write the user into each line first",
        ),
    )
)


def refuse_foreign_text(lines: list[str], source: str) -> None:
    """Raise DataError for a text of another format, with what to do."""
    lines = [line for line in lines[:N_LINES] if line.strip()]
    text = "\n".join(lines)
    found = next((says for pattern, says in FORMATS if pattern.search(text)), None)
    if any(map(DRAWN.fullmatch, lines[:4])):
        found = "a table drawn with lines, as in mysql, psql and Markdown: write CSV (mysql --batch, psql --csv)"
    if _is_keyed(lines):
        found = "a list of records with a line for each field (name: value): write each record as a line of CSV first"
    if _has_fixed_widths(lines):
        found = "a table of columns of fixed width with blanks in them: load it with pandas.read_fwf and pass the frame"
    if found:
        raise DataError(f"{source} is {found}.")


def _is_keyed(lines: list[str]) -> bool:
    """True if the first lines each have another name in front: `review/score: 3.0`."""
    if any(mark in line for line in lines[:3] for mark in "\t,;|"):
        return False  # titles such as "Dune: Part Two,5"
    keys = [match[1] for line in lines[:3] if (match := KEYED.match(line))]
    return len(keys) == 3 == len(set(keys))


def _has_fixed_widths(lines: list[str]) -> bool:
    """True if blanks in a row separate the fields of each line, and single ones stand in some of them."""
    if len(lines) < 3 or any(mark in line for line in lines for mark in "\t,;|") or "::" in lines[0]:
        return False
    stripped = [line.strip() for line in lines]
    if not all("  " in line for line in stripped):
        return False
    return len({len(line.split()) for line in stripped[1:]}) > 1  # the first may have no name for row numbers
