"""`palate blocks`, and a folder of blocks where commands take a file of ratings."""

import pytest

import palate as library
from helpers.command_line import answer, parsed, refused


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blocks")
    frame = library.datasets.synthetic(n_users=60, n_items=40, n_ratings=1200, seed=1).to_frame()
    frame[:700].write_csv(folder / "events-1.csv")
    frame[700:].write_csv(folder / "events-2.csv")
    frame.write_csv(folder / "all.csv")
    answer("blocks", "events-*.csv", "-o", "x.blocks", cwd=folder)
    answer("fit", "x.blocks", "--recipe", "als", "--test", "0.1", "-o", "m.palate", cwd=folder)
    return folder


def test_the_folder_holds_all_files(here):
    blocks, ratings = library.blocks.open(here / "x.blocks"), library.read(here / "all.csv")
    assert blocks.same_vocabulary(ratings) and len(blocks) == len(ratings)
    assert blocks.report.source == "2 files (events-1.csv to events-2.csv)"


def test_what_is_printed(here):
    printed = answer("blocks", "events-1.csv", "events-2.csv", "-o", "y.blocks", cwd=here)
    assert printed.startswith("Blocks(1,200 ratings, 60 users, 40 items) -> y.blocks (") and "user = user" in printed
    facts = parsed("blocks", "all.csv", "-o", "y.blocks", "--overwrite", "--json", cwd=here)
    assert facts["n_ratings"] == 1200 and facts["read"]["columns"]["item"] == "item"


def test_commands_take_a_folder(here):
    assert "density" in answer("check", "x.blocks", cwd=here)
    of_blocks, of_file = (parsed("evaluate", "m.palate", name, "--json", cwd=here) for name in ("x.blocks", "all.csv"))
    assert of_blocks["n"] == of_file["n"] == 1200
    assert "Bias" in answer("compare", "x.blocks", "--recipes", "bias,als", cwd=here)
    answer("fit", "x.blocks", "--likes", "4", "-o", "likes.palate", cwd=here)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("blocks", "all.csv", "-o", "x.blocks"), "--overwrite"),
        (("blocks", "none-*.csv", "-o", "n.blocks"), "no file matches"),
        (("fit", "x.blocks", "--kind", "implicit", "-o", "n.palate"), "give --kind to palate blocks"),
        (("fit", ".", "-o", "n.palate"), "no manifest.json"),
        (("evaluate", "m.palate", "x.blocks", "--propensity", "p"), "a folder of blocks, which has no column"),
        (("blocks", "x.blocks", "-o", "n.blocks"), "is a folder of blocks"),
    ],
)
def test_what_is_refused(here, words, told):
    assert told in refused(*words, cwd=here)
