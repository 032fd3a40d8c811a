"""A kernel that only remembers what it was asked to display, and real ones."""

from types import SimpleNamespace

import pytest


class Output:
    """One output of the kernel: what it shows now, and how often it was drawn."""

    def __init__(self, data):
        self.data, self.n_drawn = data, 1

    def update(self, data, *, raw):
        assert raw
        self.data, self.n_drawn = data, self.n_drawn + 1

    @property
    def html(self):
        return self.data["text/html"]

    @property
    def body(self):
        return self.html.partition("</style>")[2]

    @property
    def text(self):
        return self.data["text/plain"]


class Kernel:
    """What palate.showing.live asks of IPython, and the outputs that it was given."""

    def __init__(self, *, on_a_terminal=False):
        self.outputs = []
        shell = SimpleNamespace() if on_a_terminal else SimpleNamespace(kernel=object())
        self.get_ipython = lambda: shell
        self.display = SimpleNamespace(display=self._display)

    def _display(self, data, *, raw, display_id):
        assert raw and display_id
        self.outputs.append(Output(data))
        return self.outputs[-1]


def run(sources, folder):
    """The outputs of cells that run one after another in a real kernel, a list each; skips without one."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=600, startup_timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute()
    return [cell.outputs for cell in notebook.cells]
