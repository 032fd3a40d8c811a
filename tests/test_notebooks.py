"""The notebooks of examples/: made from the pages of the course, valid, and running from the first cell to the last."""

import base64
import json
import re
import sys
from pathlib import Path

import pytest

import palate

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture
def maker(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    import make_notebooks

    yield make_notebooks
    for name in ("make_notebooks", "pages"):
        sys.modules.pop(name, None)


@pytest.fixture
def own_jupyter(tmp_path, monkeypatch):
    """Jupyter and IPython with folders of their own: nobody's kernels, settings or histories are read or written."""
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "PYTHONSTARTUP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")  # unset, jupyter_core warns of a default that will change


def test_the_notebooks_are_what_the_pages_give(maker):
    made = {f"{page.stem}.ipynb": maker.notebook_of(page) for page in maker.pages()}
    assert {path.name: path.read_text(encoding="utf-8") for path in NOTEBOOKS} == made, (
        "remake them: python examples/make_notebooks.py"
    )


@each_notebook
def test_a_notebook_is_valid_and_has_the_outputs_of_its_page(path, maker):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    page = (maker.LEARN / f"{path.stem}.md").read_text(encoding="utf-8")
    printed = [part.printed for part in maker.parts_of(page) if part.printed]
    assert [output.text for output in outputs if output.output_type == "stream"] == printed != []
    pictures = [output.data["image/png"] for output in outputs if output.output_type == "display_data"]
    saved = [(maker.LEARN / name).read_bytes() for name in maker.PICTURE.findall(page)]
    assert sorted(map(base64.b64decode, pictures)) == sorted(saved) != []


@each_notebook
def test_a_notebook_begins_with_what_it_needs(path):
    first = next(cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code")
    assert first["metadata"]["tags"] == ["install"]
    assert '%pip install --quiet "palate[torch,plot]"' in first["source"]


@each_notebook
def test_every_cell_has_a_name_of_its_own(path):
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(set(ids)) == len(ids)


@each_notebook
def test_links_lead_somewhere(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "".join(line for cell in cells if cell["cell_type"] == "markdown" for line in cell["source"])
    targets = re.findall(r"\]\(([^)#]+)\)", prose)
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target


# A notebook has the code of its page, which tests run whole; these two show that notebooks run, one with pictures.
@pytest.mark.long
@pytest.mark.data
@pytest.mark.parametrize("name", ["two-vectors", "looking"])
def test_a_notebook_runs_and_shows_its_pictures(name, own_jupyter, tmp_path):
    path = EXAMPLES / f"{name}.ipynb"
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    for needed in ("ipykernel", "torch", "matplotlib"):
        pytest.importorskip(needed)
    try:
        palate.datasets.load("ml-100k")
    except palate.errors.DatasetError as error:
        pytest.skip(f"ml-100k cannot be had: {error}")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    # "python3" is always this Python here: own_jupyter holds no other kernel of that name.
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    shown = sum("display(figure)" in cell.source for cell in notebook.cells)
    assert len(pictures) == shown > 0
    assert any(output.output_type == "stream" and output.name == "stdout" for output in outputs)
    assert not list(tmp_path.glob("*.png"))
