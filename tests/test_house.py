"""The house keeps its own rules: who may import whom, and what may stand in no file."""

import ast
import re
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import palate
from palate import kernels

# The stair: a room may import the rooms to its left, never those to its right. docs/architecture.md draws it.
STAIR = [
    *("errors", "options", "__version__", "showing"),
    *("kernels", "data", "distributed", "models", "storing", "answers"),
    *("recommender", "recipes"),
    *("evaluation", "tuning", "plotting", "nn", "exporting", "sklearn"),
    "serving",
    *("__init__", "cli", "__main__"),
]
ONLY_IN = {
    "torch": "nn",
    "matplotlib": ("plotting", "showing.pictures"),
    "faiss": "answers.ranking.index",
    "optuna": "tuning",
}
ONLY_IN |= {
    "python_calamine": "data.reading.workbooks",
    "zstandard": "data.reading.compression",
    "fsspec": "data.addresses",
}
ONLY_IN |= {"ray": "distributed.ray_exchange", "sklearn": "sklearn", "mlflow": "exporting"}
ONLY_IN |= dict.fromkeys(("starlette", "uvicorn", "msgspec", "prometheus_client"), "serving")
ONLY_IN |= {"psycopg": ("serving", "exporting")}
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}
UNSAFE_CALLS = {"eval", "exec", "__import__", "compile"}
LAZY = [
    "polars",
    "pandas",
    "pyarrow",
    "scipy",
    "typer",
    "rich",
    "safetensors",
    "torch",
    "matplotlib",
    "faiss",
    "optuna",
    "ray",
    "sqlglot",
    "python_calamine",
    "zstandard",
    "fsspec",
    *("sklearn", "mlflow"),
    *("starlette", "uvicorn", "msgspec", "prometheus_client", "psycopg"),
    "IPython",
]

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src" / "palate"
FILES = sorted(SRC.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SRC)))


def module_of(path):
    """The dotted name below palate: "ratings", "solvers.bayes"; a folder's __init__ is the folder itself."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_of(path) for path in FILES}


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imports_in(tree, package=("palate",)):
    """Every imported name in full, wherever it stands: at the top, in functions, under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            yield from (f"{base}.{name.name}" for name in node.names)


def imports_of(path):
    """What a file imports. A bare `import palate` counts as the names then taken from it."""
    tree, parents = tree_of(path), path.relative_to(SRC).parts[:-1]
    found = set(imports_in(tree, ("palate", *parents)))
    if "palate" not in found:
        return found
    return found - {"palate"} | {f"palate.{name}" for name in attributes_of_palate(tree)}


def attributes_of_palate(tree):
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {node.attr for node in nodes if isinstance(node.value, ast.Name) and node.value.id == "palate"}


def own_module(name):
    """The module of palate that an imported name leads to, or None for somebody else's."""
    if name != "palate" and not name.startswith("palate."):
        return None
    parts = name.split(".")[1:]
    while parts and ".".join(parts) not in MODULES:
        parts = parts[:-1]
    return ".".join(parts) or "__init__"


GRAPH = {
    module_of(path): {found for name in imports_of(path) if (found := own_module(name))} - {module_of(path)}
    for path in FILES
}


def breaches(graph, stair=STAIR):
    """The imports that go up the stair: "low imports high"."""
    floor = {room: n for n, room in enumerate(stair)}
    rooms = {module: module.split(".")[0] for module in graph}
    assert set(rooms.values()) <= set(stair), f"{set(rooms.values()) - set(stair)} has no place on the stair"
    return [
        f"{module} imports {other}"
        for module, imports in graph.items()
        for other in sorted(imports)
        if floor[rooms[module]] < floor[other.split(".")[0]]
    ]


def circle(graph):
    """Some modules that import each other in a ring, or an empty list. A folder counts with its __init__."""
    done = set()

    def visit(module, path):
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for other in sorted(graph.get(module, ())):
            if found := visit(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := visit(module, []))), [])


def test_the_picture_of_the_stair_shows_every_room():
    picture = (Path(__file__).parents[1] / "docs/stair.svg").read_text(encoding="utf-8")
    drawn = [name for names in re.findall(r'font-weight="bold">([^<]+)<', picture) for name in names.split(", ")]
    assert drawn == [name for name in STAIR if name not in ("__init__", "__main__")]


def test_imports_go_down_the_stair_only():
    assert breaches(GRAPH) == []


def test_imports_make_no_circle():
    assert circle(GRAPH) == []


def test_the_rules_would_catch_a_breach():
    stair = ["low", "middle", "high"]
    assert breaches({"low": {"high"}, "high": {"middle"}, "middle": set()}, stair) == ["low imports high"]
    assert breaches({"low.a": {"low.b", "high.c"}, "high.c": {"low.a"}}, stair) == ["low.a imports high.c"]
    assert sorted(circle({"middle.a": {"middle.b"}, "middle.b": {"middle.a"}})) == ["middle.a", "middle.b"]
    assert circle({"low": set(), "middle": {"low"}, "high": {"low", "middle"}}) == []
    with pytest.raises(AssertionError, match="no place on the stair"):
        breaches({"elsewhere": {"low"}}, stair)


def test_every_import_is_seen():
    source = """
import a.b
from . import c
from ..d import e
if TYPE_CHECKING:
    from palate.data.ratings import Ratings
def later():
    from palate import errors
"""
    found = set(imports_in(ast.parse(source), ("palate", "recipes")))
    assert found == {"a.b", "palate.recipes.c", "palate.d.e", "palate.data.ratings.Ratings", "palate.errors"}
    assert own_module("palate.data.ratings.Ratings") == "data.ratings"
    assert own_module("palate.kernels.solve_rows") == "kernels"
    assert own_module("palate") == own_module("palate.read_something") == "__init__"
    assert own_module("paletteknife") is None
    assert attributes_of_palate(ast.parse("import palate\npalate.__version__; palate.read(x).y")) == {
        "__version__",
        "read",
    }


@each_file
def test_heavy_libraries_stay_in_their_rooms(path):
    for name in imports_of(path):
        rooms = ONLY_IN.get(name.split(".")[0])
        if rooms is not None:
            is_there = [f"{module_of(path)}.".startswith(f"{room}.") for room in np.atleast_1d(rooms)]
            assert any(is_there), f"{name} may be imported in {rooms} alone"


def unsafe_things(tree):
    """What could run somebody else's data as code: pickles, eval and exec, arrays loaded with allow_pickle."""
    found = [name for name in imports_in(tree) if name.split(".")[0] in UNSAFE_MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in UNSAFE_CALLS:
            found.append(f"line {node.lineno}: {node.id}")
        if isinstance(node, ast.Attribute) and node.attr in ("to_pickle", "read_pickle", "__reduce__"):
            found.append(f"line {node.lineno}: {node.attr}")
        if (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and getattr(node.value, "value", 1) is not False
        ):
            found.append(f"line {node.value.lineno}: allow_pickle")
        if isinstance(node, ast.keyword) and node.arg == "shell" and getattr(node.value, "value", 1) is not False:
            found.append(f"line {node.value.lineno}: shell")
    return found


@each_file
def test_data_is_never_run_as_code(path):
    assert unsafe_things(tree_of(path)) == []


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from joblib import load", "eval('1')", "run = exec", "np.load(f, allow_pickle=True)",
     "frame.to_pickle(p)", "run(c, shell=True)", "np.load(f, allow_pickle=flag)"],
)  # fmt: skip
def test_the_rule_would_catch_code(source):
    assert unsafe_things(ast.parse(source))
    assert not unsafe_things(ast.parse("model.eval(); np.load(f, allow_pickle=False); re.search(p, s)"))


def docstring_lines(tree):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (node for node in ast.walk(tree) if isinstance(node, kinds) and ast.get_docstring(node) is not None)
    return sum(node.body[0].end_lineno - node.body[0].lineno + 1 for node in nodes)


def body_lines(function):
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_files_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SRC.rglob("*.[ch]pp")}
    assert lengths
    lengths |= {
        path: len(path.read_text(encoding="utf-8").splitlines()) - docstring_lines(tree_of(path)) for path in FILES
    }
    assert {str(path.relative_to(SRC)): lines for path, lines in lengths.items() if lines > 400} == {}


def test_functions_are_short():
    functions = [
        (path, node) for path in FILES for node in ast.walk(tree_of(path)) if isinstance(node, ast.FunctionDef)
    ]
    lengths = {f"{path.relative_to(SRC)}: {node.name}": body_lines(node) for path, node in functions}
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}
    assert statistics.median(lengths.values()) < 10


def test_the_top_of_the_house_is_a_list_one_can_read():
    there = {path.name for path in SRC.iterdir() if not path.name.startswith("__") and path.suffix in ("", ".py")}
    assert there == {name if (SRC / name).is_dir() else f"{name}.py" for name in STAIR if not name.startswith("__")}
    assert len(there) <= 19


# Folders where somebody's own files lie on some machine; web addresses and longer paths do not match.
MACHINE_PATH = re.compile(r"(?<![\w.:/\\~-])(?:/(?:home|root|Users|work|workspace|mnt|media|srv|opt)/\w|[A-Z]:\\\w)")


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so there are no tracked files to look at")
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_machine():
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        text = "" if b"\0" in content else content.decode("utf-8", errors="replace")  # pictures are no text
        lines = (f"{path.relative_to(ROOT)}:{n}: {line.strip()[:100]}" for n, line in enumerate(text.splitlines(), 1)
                 if MACHINE_PATH.search(line))  # fmt: skip
        found += lines
    assert found == []


def test_the_rule_would_catch_a_machine():
    for part in ("home", "root", "Users", "work"):
        assert MACHINE_PATH.search(f'open("/{part}/somebody/file")')
    assert MACHINE_PATH.search("C:" + "\\data")
    for harmless in ("https://example.org/home/page", "src/home/file", "/dev/full", "/usr/bin/env", "~/home/x"):
        assert not MACHINE_PATH.search(harmless)


def test_import_palate_stays_light():
    source = f"import sys, palate; print([name for name in {LAZY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def signatures(path):
    """For each function of a file: its arguments by place and by name only, and the defaults of those that have one."""
    functions = [node for node in tree_of(path).body if isinstance(node, ast.FunctionDef)]
    by_place = {f.name: [argument.arg for argument in f.args.args] for f in functions}
    by_name = {f.name: [argument.arg for argument in f.args.kwonlyargs] for f in functions}
    defaults = {f.name: [ast.unparse(d) for d in f.args.defaults + f.args.kw_defaults if d] for f in functions}
    return {name: (by_place[name], by_name[name], defaults[name]) for name in by_place}


def compiled_signature(kernel):
    """The same of a compiled function, as nanobind tells it."""
    ((said, _, defaults),) = kernel.__nb_signature__
    by_place, _, by_name = said.partition("*, ")
    return *(re.findall(r"(\w+): ", part) for part in (by_place, by_name)), [repr(d) for d in defaults or ()]


def test_a_kernel_its_stub_and_its_reference_take_the_same():
    stub = signatures(SRC / "kernels" / "_kernels.pyi")
    references = {
        name: reference
        for path in (SRC / "kernels" / "reference").glob("*.py")
        for name, reference in signatures(path).items()
        if name in stub
    }
    assert set(stub) - set(references) == {
        "begin_to_finish",
        "level",
        "levels",
        "pack_items",  # a layout of the running level
        "release_memory",
        "use_level",
    }
    assert {name: stub[name] for name in references} == references
    assert {name: compiled_signature(getattr(kernels, name)) for name in stub} == stub


@pytest.mark.parametrize("name", sorted(palate._MODULES))
def test_a_public_module_completes_to_its_public_names_alone(name):
    for library in {"nn": ["torch"], "sklearn": ["sklearn"], "plotting": ["matplotlib"]}.get(name, []):
        pytest.importorskip(library)
    module = getattr(palate, name)
    homes = {one: getattr(getattr(module, one), "__module__", None) or "palate" for one in dir(module)}
    assert {one: home for one, home in homes.items() if not home.startswith(("palate", "typing"))} == {}
    assert not {"annotations", "Any"} & set(homes)
