"""The comparison on very many ratings: each library's fit is measured alike, and the tables say what was measured."""

import json
import subprocess
import sys

import numpy as np
import pytest

from helpers.scripts import ROOT, module_at

pytest.importorskip("scipy")

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def one_fit():
    return module_at(BENCHMARKS / "many_ratings_fit.py")


@pytest.fixture(scope="module")
def peers():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return module_at(BENCHMARKS / "many_ratings_peers.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        module_at(BENCHMARKS / "many_ratings.py").write(folder, 3e4)
    return folder


def naive_ranking(users, items, train, held, half, k=20):
    gains, recalls = [], []
    for user in sorted({user for user in held.users.tolist() if user % 2 == half}):
        known = set(train.items[train.users == user].tolist())
        wanted = set(held.items[held.users == user].tolist())
        scores = items @ users[user]
        best = [item for item in np.argsort(-scores).tolist() if item not in known][:k]
        gain = sum(1 / np.log2(2 + place) for place, item in enumerate(best) if item in wanted)
        gains.append(gain / sum(1 / np.log2(2 + place) for place in range(min(k, len(wanted)))))
        recalls.append(len(wanted.intersection(best)) / len(wanted))
    return {"ndcg": np.mean(gains), "recall": np.mean(recalls)}


@pytest.mark.parametrize("half", [0, 1])
def test_lists_are_measured_by_their_definition(one_fit, folder, half):
    train, held = (one_fit.Part.read(folder, name) for name in ("train", "held"))
    rng, shape = np.random.default_rng(0), json.loads((folder / "shape.json").read_text())
    users, items = rng.normal(size=(shape["n_users"], 3)), rng.normal(size=(shape["n_items"], 3))
    found = one_fit.ranking((users, items), train, held, half)
    assert found == pytest.approx(naive_ranking(users, items, train, held, half))


def test_predictions_are_clipped(one_fit):
    part = one_fit.Part(np.zeros(2, np.int32), np.zeros(2, np.int32), np.array([5, 1], np.int8))
    assert one_fit.rmse(lambda _: np.array([9.0, 1.0]), part) == {"rmse": 0.0}


@pytest.mark.parametrize(
    ("library", "setting", "worst"),
    [
        ("palate", {"recipe": "ALS", "n_factors": 4, "n_sweeps": 3, "weight_decay": 4.0}, {"rmse": 1.1}),
        ("palate, likes", {"recipe": "ImplicitALS", "n_factors": 8, "n_sweeps": 3}, {"ndcg": 0.05, "recall": 0.1}),
    ],
)
def test_a_fit_of_palate_is_measured(one_fit, folder, library, setting, worst):
    found = one_fit.measured(folder, library, setting)
    assert found["seconds"] > 0
    assert found["peak_mb"] > 10
    for half in ("valid", "test"):
        assert found[half].keys() == worst.keys()
        assert all((found[half][name] < worst[name]) == (name == "rmse") for name in worst)


def test_the_halves_are_not_the_same(one_fit, folder):
    found = one_fit.measured(folder, "palate", {"recipe": "Bias"})
    assert found["valid"] != found["test"]


def test_a_fit_is_a_process_and_is_made_once(peers, folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    setting = {"recipe": "Bias"}
    fit = peers.Fits(tmp_path)("palate", setting)
    assert fit["library"] == "palate"
    assert len((tmp_path / "fits.jsonl").read_text().splitlines()) == 1
    assert peers.Fits(tmp_path)("palate", setting) == fit
    assert len((tmp_path / "fits.jsonl").read_text().splitlines()) == 1


def test_a_fit_that_fails_says_why(peers, folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    with pytest.raises(SystemExit, match=r"ALS.*failed:\n(?s:.*)OptionError"):
        peers.Fits(tmp_path)("palate", {"recipe": "ALS", "n_sweeps": 0})


def fit_of(seconds, rmse):
    return {"seconds": seconds, "peak_mb": 100.0, "valid": {"rmse": rmse}, "test": {"rmse": rmse}}


def test_the_same_error_is_reached_by_the_quickest_fit_that_is_no_worse(peers):
    fits = [fit_of(1, 0.9), fit_of(2, 0.86), fit_of(3, 0.85), fit_of(4, 0.8504)]
    assert peers.first_within(fits, 0.85) == fits[2]
    assert peers.first_within(fits, 0.8500001) == fits[2]
    assert peers.first_within(fits, 0.88) == fits[1]
    assert peers.first_within(fits, 0.84) is None


def test_the_table_says_who_is_faster(peers):
    ladders = {"LIBMF": [fit_of(5, 0.86), fit_of(10, 0.85)], "palate Bayes": [fit_of(4, 0.9), fit_of(8, 0.849)]}
    best, slack = list(peers.lines(ladders))
    assert "LIBMF, its best | RMSE 0.8500 in 10.0 s" in best
    assert "RMSE 0.8490 in 8.0 s, 100 MB | yes |" in best
    assert "0.5% worse | RMSE 0.8500 in 10.0 s" in slack
    ladders["palate Bayes"] = [fit_of(4, 0.8502), fit_of(20, 0.8501)]
    best, slack = list(peers.lines(ladders))
    assert "not reached (best: RMSE 0.8501 in 20.0 s, 100 MB) | **no** |" in best
    assert slack.endswith("| RMSE 0.8502 in 4.0 s, 100 MB | yes |")


class MadeUp:
    """Fits whose error falls with iterations, and is least at a multiple of the regularisation that was searched."""

    def __init__(self, peers, folder, multiple):
        self.peers, self.folder, self.multiple, self.asked = peers, folder, multiple, []

    def __call__(self, library, setting):
        self.asked.append(setting)
        (name,) = (n for n, c in self.peers.ALL.items() if c.library == library and n in ("LIBMF", "palate ALS"))
        option, steps = self.peers.ALL[name].near[0], self.peers.ALL[name].steps[0]
        chosen = json.loads(self.peers.SETTINGS.read_text())[name]["setting"][option]
        error = 0.85 + abs(setting[option] / chosen - self.multiple) + 0.1 / setting[steps]
        return {"library": library, "setting": setting, **fit_of(2.0 * setting[steps], error)}


def test_a_ladder_takes_the_regularisation_that_is_best_at_this_size(peers, folder):
    fits = MadeUp(peers, folder, multiple=0.5)
    ladder = peers.ladder(fits, "LIBMF")
    chosen = json.loads(peers.SETTINGS.read_text())["LIBMF"]["setting"]["lambda"]
    numbers = peers.ALL["LIBMF"].steps[1]
    assert [fit["setting"]["lambda"] for fit in ladder[-len(numbers) :]] == [0.5 * chosen] * len(numbers)
    assert [fit["setting"]["nr_iters"] for fit in ladder[-len(numbers) :]] == numbers
    assert len(ladder) == len(numbers) + 4  # and those that were tried


def test_a_recipe_without_regularisation_has_one_setting(peers):
    class Asked:
        def __call__(self, _, setting):
            return {"setting": setting, **fit_of(1.0, 0.9)}

    numbers = [15, *peers.ALL["palate Bayes"].steps[1]]
    ladder = peers.ladder(Asked(), "palate Bayes")
    assert [fit["setting"] for fit in ladder] == [
        {"recipe": "Bayes", "n_factors": 31, "history": False, "n_sweeps": n} for n in numbers
    ]


def test_the_report_has_all_that_was_measured(peers, folder, capsys):
    peers.report(MadeUp(peers, folder, multiple=1.0), ["LIBMF", "palate ALS"])
    said = capsys.readouterr().out
    assert "RMSE of the best prediction there is: 0." in said
    assert "| LIBMF, its best | RMSE 0.8550 in 40.0 s, 100 MB | palate ALS | not reached (best: RMSE 0.8600" in said
    assert "| LIBMF, 0.5% worse |" in said
    assert "40.0: 0.8550" in said


def test_ratings_are_not_compared_with_likes(peers):
    ladders = {"implicit": [fit_of(5, 0.8)], "palate ALS": [fit_of(5, 0.8)], "LIBMF": [fit_of(5, 0.8)]}
    assert all(line.startswith("| LIBMF") for line in peers.lines(ladders))


def test_every_library_has_a_setting_that_a_search_found_among_those_it_tried(peers):
    kept = json.loads(peers.SETTINGS.read_text(encoding="utf-8"))
    assert kept.keys() == peers.ALL.keys()
    for name, contestant in peers.ALL.items():
        assert kept[name]["setting"] in contestant.tried
        assert kept[name]["tried"] == len(contestant.tried)
        assert contestant.steps[0] in kept[name]["setting"]
        assert contestant.near is None or contestant.near[0] in kept[name]["setting"]


def test_the_script_of_a_fit_needs_nothing_of_palate():
    path = str(BENCHMARKS / "many_ratings_fit.py")
    source = f"import runpy, sys; runpy.run_path({path!r}); print('palate' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
