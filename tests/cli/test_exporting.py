"""`palate export`: what it writes, what it prints, and what it refuses in the words of the command line."""

import polars as pl
import pytest

import palate as library
from helpers.command_line import answer, parsed, refused


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    ratings = library.datasets.synthetic(30, 20, 300, seed=2)
    library.ALS(n_factors=3, n_sweeps=2).fit(ratings, progress=False).save(folder / "m.palate")
    library.EASE().fit(ratings.likes(at_least=3), progress=False).save(folder / "ease.palate")
    return folder


def test_files_in_a_folder(here):
    printed = answer("export", "m.palate", "--to", "parquet", "--out", "vectors", cwd=here)
    assert printed.split() == ["vectors/items.parquet", "vectors/users.parquet"]
    rec = library.load(here / "m.palate")
    assert pl.read_parquet(here / "vectors" / "items.parquet").equals(rec.vectors("items").polars_frame())


def test_options_and_json(here):
    said = parsed("export", "m.palate", "-o", "u.npy", "--side", "users", "--metric", "l2", cwd=here)
    assert said == {"written": ["u.npy", "u.json"], "metric": "l2", "question": "recommend"}
    said = parsed("export", "m.palate", "-o", "v.sql", "--question", "similar", "--prefix", "shop", "--index", cwd=here)
    assert said["written"] == ["v.sql"]
    assert 'CREATE INDEX "shop_items_new_hnsw"' in (here / "v.sql").read_text()


def test_refusals_of_exports_name_options_as_they_are_typed(here):
    answer("export", "m.palate", "-o", "once.parquet", cwd=here)
    assert "--overwrite replaces it" in refused("export", "m.palate", "-o", "once.parquet", cwd=here)
    answer("export", "m.palate", "-o", "once.parquet", "--overwrite", cwd=here)
    assert "--side both makes two files" in refused("export", "m.palate", "-o", "x.parquet", "--side", "both", cwd=here)
    assert "give --to parquet" in refused("export", "m.palate", "-o", "somewhere", cwd=here)
    assert "--metric dot is not valid" in refused("export", "m.palate", "-o", "x.npy", "--metric", "dot", cwd=here)
    assert "ranks by the histories of users" in refused("export", "ease.palate", "-o", "x.npy", cwd=here)
    assert not (here / "x.npy").exists()
