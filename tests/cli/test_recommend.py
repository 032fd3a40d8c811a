"""`palate recommend` with conditions, lists from files, limits per category, memory and --resume; similar alike."""

import csv
import json

import numpy as np
import polars as pl
import pytest

import palate as library
from helpers.command_line import answer, many, parsed, refusal

N_ITEMS = 24


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with a model of films that have years and genres, and files of lists."""
    folder = tmp_path_factory.mktemp("choosing")
    rng = np.random.default_rng(0)
    rows = [(u, i, rng.integers(1, 6)) for u in range(1, 31) for i in range(1, N_ITEMS + 1) if rng.random() < 0.4]
    genres = ["Drama", "Drama|Comedy", "Horror"]
    films = [(i, f"Film {i}", 1980 + i, genres[i % 3]) for i in range(1, N_ITEMS + 1)]
    user_rows = [(u, 20 + u, "fr" if u % 3 else "de") for u in range(1, 31)]
    write(folder / "ratings.csv", [("user", "item", "rating"), *rows])
    write(folder / "people.csv", [("user", "age", "country"), *user_rows])
    (folder / "users.txt").write_text("3\n4\n5\n")
    write(folder / "films.csv", [("item", "title", "year", "genres"), *films])
    write(folder / "pairs.csv", [("user", "item"), (1, 3), (1, 4), (2, 5)])
    write(folder / "plain.csv", [("item",), (3,), (4,)])
    (folder / "list.txt").write_text("3\n4\n")
    tables = library.read(folder / "ratings.csv", items=folder / "films.csv", users=folder / "people.csv")
    library.ALS(n_factors=3, n_sweeps=3).fit(tables).save(folder / "m.palate")
    return folder


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def rec(here):
    return library.load(here / "m.palate")


def frame_of(rows, like):
    return pl.DataFrame(rows)["item"].to_list() == like["item"].to_list()


def test_the_options_say_what_they_say_in_python(here, rec):
    ask = ["recommend", "m.palate", "1", "2", "-n", 9]
    users = [type(rec.model.user_vocabulary.labels.tolist()[0])(user) for user in (1, 2)]
    kind = type(rec.model.item_vocabulary.labels.tolist()[0])
    pairs = {users[0]: [kind(3), kind(4)], users[1]: [kind(5)]}
    for typed, options in [
        (["--where", "year >= 1990"], {"where": "year >= 1990"}),
        (["--max-per", "genres=2"], {"max_per": {"genres": 2}}),
        (["--max-per", "genres=2", "--max-per", "year=1"], {"max_per": {"genres": 2, "year": 1}}),
        (["--diversity", "0.4", "--popularity", "-0.3"], {"diversity": 0.4, "popularity": -0.3}),
        (["--diversity", "0.4", "--diversity-by", "genres"], {"diversity": 0.4, "diversity_by": "genres"}),
        (["--calibrated", "genres"], {"calibrated": "genres"}),
        (["--calibrated", "genres=0.4"], {"calibrated": {"genres": 0.4}}),
        (["--boost", "year"], {"boost": "year"}),
        (["--boost", "year=-0.2", "--boost", "year >= 1990"], {"boost": {"year": -0.2, "year >= 1990": 0.3}}),
        (["--boost", "year = 1990=0.9"], {"boost": {"year = 1990": 0.9}}),
        (["--exclude-file", "pairs.csv", "--keep-seen"], {"exclude": pairs, "keep_seen": True}),
        (["--items-file", "pairs.csv", "--keep-seen"], {"items": pairs, "keep_seen": True}),
        (["--exclude-file", "plain.csv"], {"exclude": [kind(3), kind(4)]}),
        (["--items-file", "list.txt", "--keep-seen"], {"items": [kind(3), kind(4)], "keep_seen": True}),
    ]:
        assert frame_of(parsed(*ask, *typed, cwd=here), rec.recommend(users, n=9, **options)), typed
    new = parsed("recommend", "m.palate", "--like", "1=5", "--where", "year < 1990", "--max-per", "genres=1", cwd=here)
    assert frame_of(new, rec.fold_in({kind(1): 5}).recommend(where="year < 1990", max_per={"genres": 1}))


def test_everyone_into_a_file_that_can_be_resumed(here, rec):
    line = "recommend m.palate --all --out best.parquet --memory 200MB --resume --max-per genres=2 -n 4"
    answer(*line.split(" "), cwd=here)
    assert pl.read_parquet(here / "best.parquet").equals(rec.recommend(n=4, max_per={"genres": 2}))
    assert not (here / "best.parquet.parts").exists()


def test_everyone_into_a_folder(here, rec):
    answer(*["recommend", "m.palate", "--all", "--out", "lists", "-n", "4"], cwd=here)
    assert pl.read_parquet(here / "lists" / "part-*.parquet").equals(rec.recommend(n=4))
    other = "recommend m.palate --all --out lists -n 5"
    refused, usage = many(other, "recommend m.palate --all --out b.csv --overwrite", cwd=here)
    assert "has lists with --n 4, which is 5 now: give another folder, or --overwrite" in refusal(refused)
    assert usage.returncode == 2
    answer(*f"{other} --overwrite".split(" "), cwd=here)
    assert pl.read_parquet(here / "lists" / "part-*.parquet").equals(rec.recommend(n=5))


def test_what_does_not_go(here):
    told = {
        "recommend m.palate 1 --where yaer>1": "no column 'yaer'",
        "recommend m.palate 1 --max-per genres": "write it as COLUMN=K",
        "recommend m.palate 1 --boost year=3": "--boost 'year=3': how much it counts is a number from -1 to 1",
        "recommend m.palate 1 --boost yaer": "--boost yaer: there is no column 'yaer'",
        "recommend m.palate 1 --calibrated genre=0.2": "there is no column 'genre'",
        "recommend m.palate 1 --calibrated genres=-0.2": "a number from 0 to 1",
        "recommend m.palate 1 --diversity-by genres": "--diversity-by genres: say how much, such as --diversity 0.3",
        "recommend m.palate 1 --max-per genre=2": "no column 'genre'",
        "recommend m.palate 1 --items 3 --items-file list.txt": "give one of the two",
        "recommend m.palate 1 --exclude-file ratings.txt": "ratings.txt",
        "recommend m.palate --like 1=5 --exclude-file pairs.csv": "one user only",
        "recommend m.palate --all --out b.csv --memory lots": "give a size such as",
        "recommend m.palate --all --out b.csv --memory 1KB": "too little",
    }
    for done, (line, said) in zip(many(*told, cwd=here), told.items(), strict=True):
        assert said in refusal(done), line
    usage = many("recommend m.palate 1 --resume", "recommend m.palate --all --memory 1GB", cwd=here)
    assert [done.returncode for done in usage] == [2, 2]
    assert "goes with --everyone and --out" in usage[0].stderr


# ---- an index


def test_an_index_finds_nearly_the_same(here, rec):
    pytest.importorskip("faiss", reason="needs palate[ann]")
    ask = ["recommend", "m.palate", "1", "2", "-n", 5, "--where", "year >= 1990", "--json"]
    exact, told = many(ask, [*ask, "--index", "ann"], cwd=here)
    assert told.stdout == exact.stdout  # of so few items all are looked at
    assert told.stderr.startswith("palate: approximate answers: ItemIndex: 24 items, recall@10 1.000 by ")
    line = "recommend m.palate --all --out near.parquet --index ann -n 4"
    answer(*line.split(" "), cwd=here)
    assert pl.read_parquet(here / "near.parquet")["item"].to_list() == rec.recommend(n=4, index="ann")["item"].to_list()


def test_what_an_index_does_not_go_with(here):
    pytest.importorskip("faiss", reason="needs palate[ann]")
    told = {
        "recommend m.palate 1 --index hnsw": "--index hnsw is not valid; use 'ann'",
        "recommend m.palate 1 --index ann --items-file pairs.csv": "--index ann goes with --by mean",
    }
    for done, (line, said) in zip(many(*told, cwd=here), told.items(), strict=True):
        assert said in refusal(done), line
    (usage,) = many("recommend m.palate --like 1=5 --index ann", cwd=here)
    assert usage.returncode == 2
    assert "--index goes with users" in usage.stderr


# ---- similar


def test_what_is_similar_can_be_chosen_among(here, rec):
    user = item = str  # ids of a text file
    asked = {
        ("--where", "year >= 1990"): {"where": "year >= 1990"},
        ("--among", "5", "--items", "Film 7"): {"items": [item(5), item(7)]},
        ("--exclude", "5", "--exclude", "Film 7"): {"exclude": [item(5), item(7)]},
        ("--among-file", "list.txt"): {"items": [item(3), item(4)]},
        ("--exclude-file", "pairs.csv", "--where", "year < 1990"): {
            "exclude": [item(3), item(4), item(5)],
            "where": "year < 1990",
        },
    }
    for words, options in asked.items():
        found = parsed("similar", "m.palate", "1", *words, cwd=here)
        assert frame_of(found, rec.similar_items(item(1), **options)), words
    asked = {
        ("--where", "country = 'de'"): {"where": "country = 'de'"},
        ("--among", "5", "--among", "7"): {"users": [user(5), user(7)]},
        ("--exclude", "5"): {"exclude": [user(5)]},
        ("--among-file", "users.txt"): {"users": [user(3), user(4), user(5)]},
        ("--exclude-file", "people.csv"): {"exclude": [user(u) for u in range(1, 31)]},
    }
    for words, options in asked.items():
        found = parsed("similar", "m.palate", "1", "--users", *words, cwd=here)
        assert [row["user"] for row in found] == rec.similar_users(user(1), **options)["user"].to_list(), words


def test_a_first_item_that_is_no_user_is_no_header(tmp_path):
    rows = {"user": ["1", "1", "2", "2"], "item": ["1", "9", "9", "2"], "rating": [1, 5, 4, 2]}
    library.ALS(n_factors=1, n_sweeps=1).fit(library.read(rows)).save(tmp_path / "m.palate")
    (tmp_path / "list.txt").write_text("9\n1\n")
    (tmp_path / "headed.txt").write_text("which\n9\n")
    (similar, recommended, headed) = many(
        ["similar", "m.palate", "2", "--among-file", "list.txt", "--json"],
        ["recommend", "m.palate", "2", "--items-file", "list.txt", "--keep-seen", "--json"],
        ["similar", "m.palate", "2", "--among-file", "headed.txt"],
        cwd=tmp_path,
    )
    assert {row["item"] for row in json.loads(similar.stdout)} == {"9", "1"}
    assert {row["item"] for row in json.loads(recommended.stdout)} == {"9", "1"}
    assert "headed.txt has no item column" in refusal(headed)


def test_new_items_in_a_file_are_left_out_and_counted(tmp_path):
    rows = {"user": ["1", "1", "2", "2"], "item": ["1", "9", "9", "2"], "rating": [1, 5, 4, 2]}
    library.ALS(n_factors=1, n_sweeps=1).fit(library.read(rows)).save(tmp_path / "m.palate")
    (tmp_path / "list.csv").write_text("item\n9\n1\nnew\nnewer\nnew\n")
    (tmp_path / "pairs.csv").write_text("user,item\n2,9\n2,1\n2,new\n2,newer\n")
    lists = [[f"--{option}-file", file] for option in ("items", "exclude") for file in ("list.csv", "pairs.csv")]
    commands = [["recommend", "m.palate", "2", *one, "--keep-seen", "--json"] for one in lists]
    commands += [["similar", "m.palate", "2", one, "list.csv", "--json"] for one in ("--among-file", "--exclude-file")]
    for done, command in zip(many(*commands, cwd=tmp_path), commands, strict=True):
        assert "2 items that the model does not know are left out" in done.stderr, command
        kept = "--items-file" in command or "--among-file" in command
        expected = {"9", "1"} if kept else {"2"}
        expected -= {command[2]} if command[0] == "similar" else set()  # an item is not similar to itself
        assert {row["item"] for row in json.loads(done.stdout)} == expected, command


def test_what_similar_does_not_take(here):
    (here / "empty.csv").write_text("")
    told = {
        "similar m.palate 1 --where yaer>1": "no column 'yaer'",
        "similar m.palate 1 --users --where year>1": "no column 'year'",
        "similar m.palate 1 --where year": "true or false",
        "similar m.palate 1 --among Nonesuch": "unknown item 'Nonesuch'",
        "similar m.palate 1 --among 3 --among-file list.txt": "give one of the two",
        "similar m.palate 1 --users --exclude 99": "99",
        "similar m.palate 1 --users --among-file films.csv": "no user column",
        "similar m.palate 1 --among-file none.txt": "none.txt",
        "similar m.palate 1 --exclude-file empty.csv": "empty.csv",
        "similar m.palate 1 --exclude-file m.palate": "m.palate",
    }
    for done, (line, said) in zip(many(*told, cwd=here), told.items(), strict=True):
        assert said in refusal(done), line
