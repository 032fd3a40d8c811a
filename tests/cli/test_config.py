"""--config: options from a TOML file; what is typed wins; a wrong key is told with its line and the nearest one."""

import json

import pytest

import palate
from helpers.command_line import answer, ask, parsed, refused


@pytest.fixture(scope="module")
def ratings():
    return palate.datasets.synthetic(60, 40, 1200, seed=1)


@pytest.fixture
def there(ratings, tmp_path):
    ratings.to_frame().write_csv(tmp_path / "ratings.csv")
    return tmp_path


def written(folder, text, name="c.toml"):
    (folder / name).write_text(text, encoding="utf-8")
    return name


NIGHTLY = """
quiet = true
seed = 3
[fit]
data = "ratings.csv"  # an argument
recipe = "ALS"
n_factors = 3
n-sweeps = 4
test = 0.2
out = "m.palate"
[recommend]
n = 2
"""


def test_a_file_gives_options_and_arguments_and_the_command_line_wins(there):
    config = written(there, NIGHTLY)
    told = parsed("fit", "--config", config, "--n-sweeps", 5, cwd=there)
    assert told["recipe"] | {"n_factors": 3, "n_sweeps": 5, "seed": 3} == told["recipe"]
    assert told["recipe"]["name"] == "ALS"
    assert told["metrics"]["n"] == 240
    rows = parsed("recommend", "m.palate", "u1", "--config", config, cwd=there)
    assert len(rows) == 2
    assert len(parsed("recommend", "m.palate", "u1", "--config", config, "-n", 4, cwd=there)) == 4


def test_it_may_stand_before_the_command(there):
    config = written(there, NIGHTLY)
    typed = ask("--config", config, "fit", "--json", cwd=there)
    assert typed.returncode == 0, typed.stderr
    assert json.loads(typed.stdout)["recipe"]["n_factors"] == 3
    assert typed.stderr == ""


def test_it_is_the_same_as_typed(there):
    options = "--recipe SGD --y-range 0 6 --no-bias --n-epochs 2 --user 0 --time false"
    typed = answer("fit", "ratings.csv", *options.split(), "-o", "a.palate", cwd=there)
    config = written(there, '[fit]\nrecipe="SGD"\ny_range=[0, 6]\nbias=false\nn_epochs=2\nuser=0\ntime=false\n')
    given = answer("fit", "ratings.csv", "--config", config, "-o", "b.palate", cwd=there)
    assert typed.startswith("SGD(") and typed.split(";")[0] == given.split(";")[0]
    one, other = (palate.load(there / name) for name in ("a.palate", "b.palate"))
    assert one.model.recipe == other.model.recipe
    assert one.predict("u1", "i2").prediction == other.predict("u1", "i2").prediction


def test_lists_and_tables_give_options_that_repeat(there):
    palate.Bias().fit(palate.read(there / "ratings.csv")).save(there / "m.palate")
    one = written(there, '[recommend]\nexclude = "i1"\n', "one.toml")
    two = written(there, '[recommend]\nexclude = ["i1", "i2"]\nkeep_seen = true\n', "two.toml")
    rows = [parsed("recommend", "m.palate", "u1", "-n", 99, "--config", each, cwd=there) for each in (one, two)]
    assert "i1" not in {row["item"] for row in rows[0]}
    assert {"i1", "i2"}.isdisjoint({row["item"] for row in rows[1]})
    assert len(rows[1]) == 38
    events = written(there, '[fit]\nkind = "implicit"\nevent = {view = 1, buy = 5}\n', "events.toml")
    (there / "events.csv").write_text("user,item,event\n" + "".join(f"{u},{i},view\n" for u in "abc" for i in "xyz"))
    told = parsed("fit", "events.csv", "--config", events, "--recipe", "Popularity", "-o", "e.palate", cwd=there)
    assert told["n_ratings"] == 9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[fit]\nn_factors = 3\nn_facters = 2\n", ["line 3", "n_facters", "did you mean n_factors?"]),
        ("\n[fitt]\nn_factors = 3\n", ["line 2", "[fitt]", "did you mean fit?"]),
        ("quite = true\n", ["line 1", "quite", "did you mean quiet?"]),
        ("[fit]\nn_factors = 'many'\n", ["line 2", "n_factors", "many"]),
        ("fit = 3\n", ["line 1", "[fit]"]),
        ("[fit]\nlevel = 0.9\n", ["line 2", "palate fit has no option level"]),
        ("[fit\n", ["is not TOML"]),
        ("log = 'xml'\n", ["xml", "text, json, none"]),
        ("[fit]\nrecipe = ['ALS', 'Bias']\n", ["line 2", "recipe", "one value, and no list"]),
        ("[fit]\nlog = ['json']\n", ["line 2", "log", "one value, and no list"]),
        ("[fit]\nrecipe = {name = 'ALS'}\n", ["line 2", "recipe", "no table"]),
        ("[fit]\nfail_if = [['rmse > 1']]\n", ["line 2", "fail_if", "no list"]),
        ("[fit]\nevent = {view = {worth = 1}}\n", ["line 2", "event", "no table"]),
        ("[fit]\nn_factors = true\n", ["line 2", "n_factors", "integer"]),
        ("[fit]\nquiet = 3\n", ["line 2", "quiet", "true or false"]),
        ("[fit]\nresume = 1\n", ["line 2", "resume", "true or false"]),
        ("[fit]\nn_factors = 3\nn-factors = 4\n", ["line 3", "are the same option"]),
        ("n-sweeps = 3\nn_sweeps = 4\n", ["line 2", "are the same option"]),
        (f"seed = {'9' * 5000}\n", ["is not TOML", "digits"]),
    ],
    ids=["misspelled-key", "misspelled-table", "misspelled-for-all", "no-number", "no-table", "of-another-command",
         "no-toml", "no-form", "a-list", "a-list-of-what-acts-at-once", "a-table", "a-list-in-a-list",
         "a-table-in-a-table", "yes-for-a-number", "a-number-for-yes", "one-for-yes", "twice", "twice-for-all",
         "too-many-digits"],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(there, text, says):
    config = written(there, text)
    done = ask("fit", "ratings.csv", "-o", "m.palate", "--config", config, cwd=there, env={"COLUMNS": "400"})
    assert done.returncode == 2, done.stdout + done.stderr
    told = " ".join(done.stderr.replace("│", " ").split())  # a long path breaks the line
    for words in says:
        assert words in told
    assert not (there / "m.palate").exists()


def test_no_file_and_bytes_that_are_no_text(there):
    assert ask("show", "m.palate", "--config", "none.toml", cwd=there).returncode == 2
    (there / "c.toml").write_bytes(b"\xff\xfe\x00")
    done = ask("show", "m.palate", "--config", "c.toml", cwd=there)
    assert done.returncode == 2
    assert "save it as UTF-8" in done.stderr


def test_numbers_name_files_and_columns_too(there):
    (there / "7").write_text("1,2,3\n4,5,6\n", encoding="utf-8")
    config = written(there, "[fit]\ndata = 7\nheader = false\nrecipe = 'Mean'\nout = 8\n")
    answer("fit", "--config", config, cwd=there)
    assert palate.load(there / "8").n_users == 2


def test_keys_of_servers_are_configured_too(there):
    pytest.importorskip("msgspec")
    config = written(there, '[keys.add]\nname = "shop"\nstore = "f.db"\n')
    assert answer("keys", "add", "--config", config, cwd=there).strip()
    assert "shop" in answer("keys", "list", "--store", "f.db", cwd=there)


def test_a_model_that_is_not_there_is_an_error_as_ever(there):
    config = written(there, '[show]\nmodel = "nowhere.palate"\n')
    assert "nowhere.palate" in refused("show", "--config", config, cwd=there)
