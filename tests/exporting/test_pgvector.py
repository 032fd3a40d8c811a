"""Vectors as tables of PostgreSQL: what they hold, how they are replaced, and what is refused."""

import shutil
import subprocess
import threading

import numpy as np
import pytest

import palate
from palate.errors import DataError, ExportError, OptionError
from palate.exporting import export

psycopg = pytest.importorskip("psycopg")

OPERATORS = {"ip": "<#>", "cosine": "<=>", "l2": "<->"}


def asked(url, statement, *values):
    with psycopg.connect(url) as connection:
        return connection.execute(statement, values).fetchall()


def best(url, user, metric="ip", n=5):
    near = OPERATORS[metric]
    return [
        label
        for (label,) in asked(
            url,
            f"SELECT i.label FROM palate_items i, palate_users u WHERE u.label = %s "
            f"ORDER BY i.vector {near} u.vector LIMIT {n}",
            user,
        )
    ]


@pytest.mark.parametrize("model", ["odd_model", "numbered_model"])
@pytest.mark.parametrize("metric", OPERATORS)
def test_a_database_finds_what_is_recommended(model, metric, database, request):
    rec = request.getfixturevalue(model)
    assert export(rec, database, metric=metric) == ["palate_items", "palate_users"]
    exact = rec.vectors("items").vectors.astype(float) @ rec.vectors("users").vectors.T
    codes = {label: at for at, label in enumerate(rec.vectors("items").labels.tolist())}
    for at, user in list(enumerate(rec.vectors("users").labels.tolist()))[::6]:
        expected = rec.recommend(user, n=5, keep_seen=True)["item"].to_list()
        scores = [[exact[codes[label], at] for label in labels] for labels in (best(database, user, metric), expected)]
        np.testing.assert_allclose(*scores, atol=1e-4)


def test_tables_hold_labels_titles_vectors_and_offsets(odd_model, database):
    export(odd_model, database)
    items, users = odd_model.vectors("items"), odd_model.vectors("users")
    found = {label: (title, vector) for label, title, vector in asked(database, "SELECT * FROM palate_items")}
    assert list(found) and set(found) == set(items.labels.tolist())
    for label, title, vector in zip(items.labels.tolist(), items.titles, items.vectors, strict=True):
        assert found[label][0] == title
        np.testing.assert_array_equal(np.array(found[label][1][1:-1].split(","), np.float32), vector)
    offsets = dict(asked(database, "SELECT label, score_offset FROM palate_users"))
    assert [offsets[label] for label in users.labels.tolist()] == users.offsets.tolist()
    ((comment,),) = asked(database, "SELECT obj_description('palate_items'::regclass)")
    assert comment.startswith('palate vectors {"palate":')


def test_tables_are_replaced_only_if_asked_and_only_those_of_palate(odd_model, numbered_model, database):
    export(odd_model, database)
    with pytest.raises(OptionError, match="has a table palate_items already; overwrite=True replaces it"):
        export(numbered_model, database)
    for _ in range(2):
        export(numbered_model, database, overwrite=True, index=True)
    assert asked(database, "SELECT count(*) FROM palate_items") == [(20,)]
    names = {name for (name,) in asked(database, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")}
    assert names == {f"palate_{side}_{kind}" for side in ("items", "users") for kind in ("key", "hnsw")}
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE shop_items (label text)")
    with pytest.raises(OptionError, match=r"the table shop_items of .* is not palate's; give another prefix="):
        export(odd_model, database, prefix="shop", overwrite=True)
    assert export(odd_model, database, prefix='odd "name"', side="items") == ['odd "name"_items']
    assert asked(database, 'SELECT count(*) FROM "odd ""name""_items"') == [(20,)]


def test_views_of_the_old_table_are_not_dropped(odd_model, database):
    export(odd_model, database)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE VIEW films AS SELECT label FROM palate_items")
    with pytest.raises(ExportError, match="Drop the views of the old table first, or give another prefix="):
        export(odd_model, database, overwrite=True)
    assert asked(database, "SELECT count(*) FROM films") == [(20,)]


def test_a_failure_changes_nothing(odd_model, numbered_model, database, monkeypatch):
    export(odd_model, database)

    def breaks(vectors):
        yield "1\t[0"

    monkeypatch.setattr("palate.exporting.pgvector.rows", breaks)
    with pytest.raises(ExportError, match=r"PostgreSQL \(postgres on 127\.0\.0\.1\) refuses"):
        export(numbered_model, database, overwrite=True)
    assert asked(database, "SELECT count(title) FROM palate_items") == [(5,)]
    assert asked(database, "SELECT to_regclass('palate_items_new')") == [(None,)]


def test_readers_see_the_old_rows_until_the_new_ones_are_all_there(odd_model, numbered_model, database, monkeypatch):
    from palate.exporting import pgvector

    export(odd_model, database)
    whole, counts = pgvector.rows, []

    def looking(vectors):
        yield from whole(vectors)
        counts.append(asked(database, "SELECT count(title) FROM palate_items")[0][0])

    monkeypatch.setattr("palate.exporting.pgvector.rows", looking)
    export(numbered_model, database, overwrite=True)
    assert counts == [5, 5]


def test_exports_at_the_same_time_follow_each_other(odd_model, database):
    errors = []

    def write():
        try:
            export(odd_model, database, overwrite=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert asked(database, "SELECT count(*) FROM palate_users") == [(odd_model.n_users,)]


def test_a_script_makes_the_same_tables(odd_model, database, vector_server, tmp_path):
    psql = shutil.which("psql", path=str(vector_server.programs)) or shutil.which("psql")
    export(odd_model, tmp_path / "v.sql", index=True)
    text = (tmp_path / "v.sql").read_text(encoding="utf-8")
    assert text.count("COPY ") == 2 and text.endswith("COMMIT;\n")
    if psql is None:
        pytest.skip("no psql here")
    ran = subprocess.run(
        [psql, "-X", "-q", database, "-f", tmp_path / "v.sql"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    by_script = asked(database, "SELECT label, title, vector::text FROM palate_items ORDER BY label")
    export(odd_model, database, overwrite=True)
    assert asked(database, "SELECT label, title, vector::text FROM palate_items ORDER BY label") == by_script
    again = subprocess.run(
        [psql, "-X", "-q", database, "-f", tmp_path / "v.sql"], capture_output=True, text=True, check=False
    )
    assert again.returncode != 0 and "already exists" in again.stderr


def test_addresses_and_servers_that_are_not_there_are_errors_without_passwords(odd_model):
    for url, said in (
        ("postgresql://me:s3cret@127.0.0.1:1/x?connect_timeout=2", r"PostgreSQL \(x on 127\.0\.0\.1\) refuses"),
        ("postgresql://me:s3cret@[::1/x", "the address of the database cannot be read"),
    ):
        with pytest.raises((ExportError, OptionError), match=said) as found:
            export(odd_model, url)
        assert "s3cret" not in str(found.value)


def test_a_wrong_password_is_not_shown(odd_model, database):
    with pytest.raises(ExportError) as found:
        export(odd_model, database.replace("s3cret-w0rd", "wr0ng"))
    assert "wr0ng" not in str(found.value) and "refuses" in str(found.value)


def test_texts_that_no_database_keeps_are_named(tmp_path):
    rec = palate.Mean().fit(palate.read({"user": ["a"], "item": ["b\0c"], "rating": [1]}), progress=False)
    with pytest.raises(DataError, match=r"keeps no text such as 'b\\x00c'"):
        export(rec, tmp_path / "x.sql")
    assert list(tmp_path.iterdir()) == []


def test_too_many_dimensions_are_refused(odd_model, tmp_path, monkeypatch):
    monkeypatch.setattr("palate.exporting.pgvector.MAX_INDEXED", 3)
    with pytest.raises(OptionError, match="an index of pgvector has at most 3 dimensions, and these vectors have 4"):
        export(odd_model, tmp_path / "x.sql", index=True)
    monkeypatch.setattr("palate.exporting.pgvector.MAX_DIMENSIONS", 3)
    with pytest.raises(OptionError, match="a vector of pgvector has at most 3"):
        export(odd_model, tmp_path / "x.sql")
