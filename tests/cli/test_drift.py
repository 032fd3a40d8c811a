"""palate drift: a table, JSON, gates, labels of another type, and what the library says."""

import json

import polars as pl
import pytest

import palate
from helpers.command_line import answer, ask, parsed, refused


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drift")
    ratings = palate.datasets.synthetic(120, 40, 3600, seed=1)
    train, new = palate.split_random(ratings, test=0.2, seed=0)
    train.to_frame().write_csv(folder / "train.csv")
    new.to_frame().write_csv(folder / "new.csv")
    new.to_frame().with_columns(pl.col("rating") + 1).write_csv(folder / "up.csv")
    answer("fit", "train.csv", "--recipe", "Bias", "--test", 0.2, "-o", "m.palate", cwd=folder)
    return folder


def test_it_says_what_the_library_says(here):
    found = palate.drift(palate.load(here / "m.palate"), palate.read(here / "new.csv"))
    assert answer("drift", "m.palate", "new.csv", cwd=here).splitlines() == str(found).splitlines()
    told = parsed("drift", "m.palate", "new.csv", cwd=here)
    assert told["drifted"] == 0
    assert told["measures"]["rmse"]["value"] == pytest.approx(found["rmse"].now)


def test_gates_take_shifts(here):
    done = ask("drift", "m.palate", "up.csv", "--fail-if", "drifted > 0", "--json", cwd=here)
    assert done.returncode == 3
    assert json.loads(done.stdout)["gates"][0]["value"] >= 1
    assert ask("drift", "m.palate", "up.csv", "--fail-if", "mean.change > 2", cwd=here).returncode == 0
    assert ask("drift", "m.palate", "up.csv", "--fail-if", "mean.change > 0.5", cwd=here).returncode == 3
    assert ask("drift", "m.palate", "up.csv", "--fail-if", "new_users > 10%", cwd=here).returncode == 0
    assert "there are n, n_users" in ask("drift", "m.palate", "up.csv", "--fail-if", "mode > 1", cwd=here).stderr


def test_likes_of_new_ratings_are_compared_with_a_model_of_likes(here):
    answer("fit", "train.csv", "--likes", 4, "--recipe", "EASE", "--test", 0.2, "-o", "likes.palate", cwd=here)
    told = parsed("drift", "likes.palate", "new.csv", "--likes", 4, cwd=here)
    assert set(told["measures"]) == {"new_users", "new_items", "popularity", "ndcg@10"}
    assert "implicit" in refused("drift", "m.palate", "new.csv", "--likes", 4, cwd=here)


def test_numbers_in_a_file_are_the_labels_of_a_model_of_texts(here):
    text = "user,item,rating\n" + "".join(f"{u},{i},{1 + (u * i) % 5}\n" for u in range(40) for i in range(5))
    (here / "numbers.csv").write_text(text)
    frame = pl.read_csv(here / "numbers.csv").with_columns(pl.col("user").cast(str))
    palate.Bias().fit(palate.read(frame)).save(here / "texts.palate")
    assert parsed("drift", "texts.palate", "numbers.csv", cwd=here)["n_new_users"] == 0
