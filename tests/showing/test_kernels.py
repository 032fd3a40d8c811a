"""Real kernels: what cells of a notebook show, and what completes in them."""

import subprocess
import sys

import pytest

import palate
from helpers.html import checked
from helpers.notebooks import run

MODULES = ["blocks", "datasets", "distributed", "errors", "evaluation", "nn", "plotting", "recipes", "tuning"]
CELLS = {
    "read": "import palate\nratings = palate.datasets.synthetic(60, 40, 1200, seed=1)\nratings",
    "fit": "train, test = palate.split_random(ratings, seed=0)\nrec = palate.Bayes(n_sweeps=5).fit(train, test)",
    "quiet": "_ = palate.Bias().fit(train, progress=False)",
    "predict": "rec.predict('u1', 'i2')",
    "explain": "rec.explain('u1', 'i2')",
    "evaluate": "palate.evaluate(rec, test, n_bootstrap=20)",
    "compare": "compared = palate.compare(train, test, ['Mean', 'Bias'], n_bootstrap=20)",
    "complete": "ip = get_ipython()\nip.Completer.use_jedi = False\n"
    "ip.complete('palate.')[1], ip.complete('palate.nn.')[1]",
    "jedi": "import jedi\n[c.name for c in jedi.Interpreter('palate.', [globals()]).complete()], "
    "[c.name for c in jedi.Interpreter('palate.nn.', [globals()]).complete()]",
    "torch": "import sys\n'torch' in sys.modules",
}


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The outputs of each cell, by its name."""
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / name.lower()))
        for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "PYTHONSTARTUP"):
            patch.delenv(name, raising=False)
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # unset, jupyter_core warns of a default that will change
        return dict(zip(CELLS, run(CELLS.values(), folder), strict=True))


def only_data(outputs):
    """What the one output of a cell holds, by its kind."""
    (output,) = outputs
    assert output.output_type in ("display_data", "execute_result")
    return output["data"]


@pytest.mark.parametrize("cell", ["read", "predict", "explain", "evaluate"])
def test_an_answer_at_the_end_of_a_cell_is_html_with_its_text(cell, executed):
    data = only_data(executed[cell])
    assert checked(data["text/html"]) and data["text/plain"]


def test_a_prediction_is_short_text(executed):
    value, low, dots, high = only_data(executed["predict"])["text/plain"].split()
    assert dots == ".." and low.startswith("(") and high.endswith(")") and len(value) == 4


def test_a_fit_shows_one_line_that_ends_as_its_summary(executed):
    data = only_data(executed["fit"])
    assert data["text/plain"].startswith("Bayes(n_sweeps=5): 5 sweeps in ")
    assert "valid" in checked(data["text/html"])


def test_a_quiet_fit_shows_nothing(executed):
    assert executed["quiet"] == []


def test_a_comparison_shows_its_recipes_in_one_output(executed):
    assert [line[:6] for line in only_data(executed["compare"])["text/plain"].splitlines()] == ["1 of 2", "2 of 2"]


@pytest.mark.parametrize("how", ["complete", "jedi"])
def test_all_public_modules_complete(how, executed):
    pytest.importorskip("torch")
    text = only_data(executed[how])["text/plain"]
    for name in (*MODULES, "Bayes", "split_last", "Learner", "from_torch"):
        assert f"{name}'" in text, name


def test_completing_imports_no_torch(executed):
    assert only_data(executed["torch"])["text/plain"] == "False"


# ---- the same without a kernel


@pytest.mark.parametrize("name", ["", *MODULES])
def test_every_name_that_completes_is_there(name):
    if name == "nn":
        pytest.importorskip("torch")
    if name == "plotting":
        pytest.importorskip("matplotlib")
    module = getattr(palate, name) if name else palate
    for public in dir(module):
        if (name, public) != ("", "nn"):
            assert getattr(module, public) is not None
    assert set(getattr(module, "__all__", ())) <= set(dir(module))
    if name != "errors":
        assert not any(public.startswith("_") and public != "__version__" for public in dir(module))


def outcome_of(source):
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_names_complete_without_the_extras():
    source = (
        "import sys; sys.modules['torch'] = sys.modules['matplotlib'] = None\n"
        "import palate, rlcompleter\n"
        "complete = rlcompleter.Completer({'palate': palate}).complete\n"
        "found = [complete('palate.', at) for at in range(60)]\n"
        "print('nn' in dir(palate), [name in found for name in ('palate.plotting', 'palate.Bayes(')])"
    )
    assert outcome_of(source) == "False [True, True]"


def test_listing_names_imports_nothing_heavy():
    pytest.importorskip("torch")
    source = (
        "import sys, palate\n"
        f"listed = [dir(palate), *(dir(getattr(palate, name)) for name in {MODULES})]\n"
        "print([name for name in ('torch', 'matplotlib', 'optuna', 'ray', 'IPython', 'rich') if name in sys.modules])"
    )
    assert outcome_of(source) == "[]"
