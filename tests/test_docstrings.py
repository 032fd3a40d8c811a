"""Every public name has a docstring that a reference page can be made from; its sections are held to the code.

CONTRIBUTING.md shows the form: a summary line, then Parameters, Attributes, Returns, Raises, Source, Example.
"""

import inspect
import re
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property, reduce

import pytest

import palate
from palate.errors import PalateError

SECTIONS = ["Parameters", "Attributes", "Returns", "Raises", "Source", "Example"]
ENTRY = re.compile(r"(?P<name>\*{0,2}\w+) \((?P<type>.+?)(?:, default (?P<default>.+?))?\): (?P<meaning>.+)")
# Classes that are answers: users meet them, but make none themselves.
ANSWERS = [
    *(
        "CrossValidation",
        "Comparison",
        "Drift",
        "Entry",
        "Measure",
        "NextItemReport",
        "RankingReport",
        "Report",
        "Shift",
        "Trial",
        "Tuning",
    ),
    *("CollabDataLoaders", "Epoch", "LrSearch", "PrincipalAxes", "RatingLoaders", "Recorder"),
    *("DataSet", "SyntheticFactors"),
    "Card",
]


def public_things():
    """(qualified name, object) of all public names, once each."""
    for name in palate.__all__:
        found = getattr(palate, name) if name not in ("nn", "plotting") else None
        if inspect.isclass(found) or inspect.isfunction(found):
            yield f"palate.{name}", found
    yield from ((f"palate.datasets.{name}", getattr(palate.datasets, name)) for name in palate.datasets.__all__)
    yield from ((f"palate.blocks.{name}", getattr(palate.blocks, name)) for name in palate.blocks.__all__)
    yield "palate.distributed.ray", palate.distributed.ray
    for name, found in vars(palate.errors).items():
        if inspect.isclass(found) and issubclass(found, PalateError):
            yield f"palate.errors.{name}", found
    from palate import evaluation, exporting, tuning
    from palate.answers import fold_in, fold_in_many, results, vectors
    from palate.exporting.card import Card

    for module in (evaluation, tuning):
        yield from ((f"{module.__name__}.{name}", getattr(module, name)) for name in ANSWERS if hasattr(module, name))
    for name in ("Prediction", "Distribution", "Explanation", "Reason", "CrossTab"):
        yield f"palate.answers.results.{name}", getattr(results, name)
    yield "palate.answers.vectors.Vectors", vectors.Vectors
    yield "palate.exporting.export", exporting.export
    yield "palate.answers.fold_in.FoldIn", fold_in.FoldIn
    yield "palate.exporting.card.Card", Card
    yield "palate.answers.fold_in_many.FoldIns", fold_in_many.FoldIns


def extra_things():
    """The public names that need an extra to be installed."""
    for module, needs in (
        ("nn", "torch"),
        ("nn.book", "torch"),
        ("plotting", "matplotlib"),
        ("sklearn", "sklearn"),
        ("mlflow", "mlflow"),
    ):
        try:
            __import__(needs)
        except ImportError:
            continue
        found = reduce(getattr, module.split("."), palate)
        for name in found.__all__:
            thing = getattr(found, name)
            is_ours = getattr(thing, "__module__", "").startswith("palate")
            if is_ours and (inspect.isclass(thing) or inspect.isfunction(thing)):
                yield f"palate.{module}.{name}", thing


def members_of(name, cls):
    """The public methods and properties that a class of palate defines itself or takes from another class of palate."""
    seen = set()  # what a class overrides is not that of its base
    for base in cls.__mro__:
        if not base.__module__.startswith("palate"):
            continue
        for member, found in vars(base).items():
            if member in seen or member.startswith("_") or getattr(cls, member, None) is None:
                continue
            seen.add(member)
            if isinstance(found, property | cached_property):
                yield f"{name}.{member}", found
            elif isinstance(found, classmethod | staticmethod):
                yield f"{name}.{member}", getattr(cls, member)
            elif inspect.isfunction(found):
                yield f"{name}.{member}", found


THINGS = dict([*public_things(), *extra_things()])
MEMBERS = {
    name: found for owner, cls in THINGS.items() if inspect.isclass(cls) for name, found in members_of(owner, cls)
}
each_thing = pytest.mark.parametrize("name", THINGS)
each_name = pytest.mark.parametrize("name", [*THINGS, *MEMBERS])


def doc_of(found):
    return inspect.getdoc(found.func if isinstance(found, cached_property) else found) or ""


def sections_of(doc):
    """{section: its lines, unindented}, and under "" what stands above the first one."""
    parts, here = {"": []}, ""
    for line in doc.splitlines():
        head = re.fullmatch(rf"({'|'.join(SECTIONS)}):", line)
        if head:
            here = head[1]
            assert here not in parts, f"{here} stands twice"
            parts[here] = []
        else:
            parts[here].append(line)
    return {name: inspect.cleandoc("\n".join(["", *lines])).splitlines() for name, lines in parts.items()}


def entries_of(lines):
    """The entries of a section, each on one line with its continuations; blank lines are not allowed."""
    entries = []
    for line in lines:
        assert line.strip(), "a blank line within a section"
        if line.startswith(" "):
            entries[-1] += " " + line.strip()
        else:
            entries.append(line)
    return entries


def parameters_of(found):
    """{name: default as written, None without one} of what a caller may give, by bare names."""
    if is_dataclass(found):
        return {
            f.name: None if f.default is MISSING and f.default_factory is MISSING else written(f)
            for f in fields(found)
            if f.init
        }
    parameters = inspect.signature(found).parameters.values()
    return {
        p.name: None if p.default is inspect.Parameter.empty else text_of(p.default)
        for p in parameters
        if p.name not in ("self", "cls")
    }


def written(field):
    return "" if field.default is MISSING else text_of(field.default)


def text_of(default):
    if inspect.isfunction(default):
        return default.__name__
    return f'"{default}"' if isinstance(default, str) else repr(default)


@each_name
def test_a_docstring_has_the_form(name):
    doc = doc_of({**THINGS, **MEMBERS}[name])
    assert doc, f"{name} has no docstring"
    lines = doc.splitlines()
    assert lines[0].endswith((".", "?")), f"the summary line of {name} is no sentence: {lines[0]!r}"
    assert len(lines) == 1 or not lines[1].strip(), f"no blank line below the summary of {name}"
    parts = sections_of(doc)
    order = [part for part in parts if part]
    assert order == [part for part in SECTIONS if part in parts], f"{name} has its sections in the order {order}"
    for part in ("Parameters", "Attributes"):
        for entry in entries_of(parts.get(part, [])):
            assert ENTRY.fullmatch(entry) or re.match(r"\*{0,2}\w+: .", entry), f"{name}, {part}: {entry!r}"
    for part in ("Returns", "Raises"):
        for entry in entries_of(parts.get(part, [])):
            assert re.match(r"[^:]+: .", entry), f"{name}, {part}: {entry!r}"
    assert ">>> " not in "\n".join("\n".join(text) for part, text in parts.items() if part != "Example"), name


@each_name
def test_every_parameter_is_described_with_its_default(name):
    found = {**THINGS, **MEMBERS}[name]
    if isinstance(found, property | cached_property) or (inspect.isclass(found) and issubclass(found, BaseException)):
        return
    owner = name.rpartition(".")[2]
    if inspect.isclass(found) and (owner in ANSWERS or name.startswith("palate.answers")):
        return  # answers: their attributes are described
    described = {}
    for entry in entries_of(sections_of(doc_of(found)).get("Parameters", [])):
        match = ENTRY.fullmatch(entry)
        described[(match["name"] if match else entry.partition(":")[0]).strip("*")] = match and match["default"]
    taken = parameters_of(found)
    assert list(described) == list(taken), f"{name} describes {list(described)} and takes {list(taken)}"
    for parameter, default in taken.items():
        if default:
            assert described[parameter] == default, f"{name}: {parameter} is {default}, not {described[parameter]}"


@each_thing
def test_every_field_of_an_answer_is_described(name):
    found = THINGS[name]
    is_answer = name.rpartition(".")[2] in ANSWERS or name.startswith("palate.answers")
    if not (is_answer and is_dataclass(found)):
        return
    described = [ENTRY.fullmatch(entry)["name"] for entry in entries_of(sections_of(doc_of(found))["Attributes"])]
    assert set(described) >= {field.name for field in fields(found) if not field.name.startswith("_")}, name


@each_name
def test_what_comes_back_is_said(name):
    found = {**THINGS, **MEMBERS}[name]
    if inspect.isclass(found) or isinstance(found, property | cached_property):
        return
    gives = inspect.signature(found).return_annotation
    if gives not in (None, "None", inspect.Signature.empty):
        assert "Returns" in sections_of(doc_of(found)), f"{name} does not say what it returns ({gives})"


@each_thing
def test_there_is_an_example_that_runs(name):
    found = THINGS[name]
    if name.rpartition(".")[2] in ANSWERS or name.startswith("palate.answers"):
        return
    if inspect.isclass(found) and issubclass(found, PalateError):
        return
    assert "Example" in sections_of(doc_of(found)), f"{name} has no example"  # test_docs.py runs it


def test_the_rules_would_catch_what_is_missing():
    def good(x: int, *, y: str = "a") -> int:
        """Add.

        Parameters:
            x (int): A number,
                any number.
            y (str, default "a"): A text.

        Returns:
            int: The sum.
        """

    assert parameters_of(good) == {"x": None, "y": '"a"'}
    parts = sections_of(doc_of(good))
    assert list(parts) == ["", "Parameters", "Returns"]
    x, y = (ENTRY.fullmatch(entry) for entry in entries_of(parts["Parameters"]))
    assert (x["name"], x["type"], x["default"]) == ("x", "int", None)
    assert (y["name"], y["default"], y["meaning"]) == ("y", '"a"', "A text.")
    assert not ENTRY.fullmatch("y: A text.")
