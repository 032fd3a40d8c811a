"""Which small changes are made: cosmic-ray's operators, at every place of a file that computes."""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cosmic_ray import plugins
from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code

BINARY = "Add_Sub Sub_Add Mul_Add Mul_Div Div_Mul FloorDiv_Mul Mod_Add Pow_Mul BitOr_BitAnd BitAnd_BitOr BitXor_BitAnd"
COMPARISONS = "Eq_NotEq NotEq_Eq Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt Is_IsNot IsNot_Is"
OPERATORS = (
    *(f"core/ReplaceBinaryOperator_{change}" for change in BINARY.split()),
    *(f"core/ReplaceComparisonOperator_{change}" for change in COMPARISONS.split()),
    "core/ReplaceUnaryOperator_USub_UAdd",
    "core/ReplaceUnaryOperator_Delete_Not",
    "core/ReplaceUnaryOperator_Delete_Invert",
    "core/NumberReplacer",
    "core/ReplaceTrueWithFalse",
    "core/ReplaceFalseWithTrue",
    "core/ReplaceAndWithOr",
    "core/ReplaceOrWithAnd",
    "core/AddNot",
)
AMOUNTS = (  # constants that say how much is computed, read, kept or looked at at a time: half or twice gives the same
    *("BLOCK_SCORES", "BLOCK_FLOATS", "BLOCK_WEIGHTS", "BLOCK_ROWS", "DRAWN_WEIGHTS", "MAX_KEPT_WEIGHTS"),
    *("MAX_COUNTERS", "ROWS_AT_ONCE", "AT_ONCE", "SLICE", "LARGEST", "HEAD", "SAMPLE", "N_TRIED"),
)


@dataclass(frozen=True)
class Mutant:
    """One change: cosmic-ray's operator at its occurrence-th place in a file, which is this line and column."""

    module: str
    operator: str
    occurrence: int
    line: int
    column: int

    @property
    def site(self):
        """Where the change is made; several changes can be made at one place."""
        return self.module, self.line, self.column

    def source(self, root: Path):
        """The whole changed file."""
        return changed_source(root / self.module, self.operator, self.occurrence)

    def change(self, root: Path):
        """The line as it was and as it becomes."""
        before, after = (root / self.module).read_text().splitlines(), self.source(root).splitlines()
        return next((a.strip(), b.strip()) for a, b in zip(before, after, strict=True) if a != b)


@cache
def operator_named(name):
    """The one cosmic-ray operator of this name."""
    return plugins.get_operator(name)()


@cache
def changed_source(file: Path, operator: str, occurrence: int):
    """A file after a change."""
    changed = mutate_code(file.read_text(), operator_named(operator), occurrence)
    assert changed is not None, (file, operator, occurrence)
    return changed


class Places(Visitor):
    """Every place where the operators apply, in the order in which cosmic-ray counts them."""

    def __init__(self):
        self.found = {name: [] for name in OPERATORS}

    def visit(self, node):
        """Note the places in one node."""
        if node.type in ("name", "newline", "string"):
            return node
        for name, places in self.found.items():
            places += operator_named(name).mutation_positions(node)
        return node


def mutants_of(root: Path, module: str):
    """Every change to a file but those to annotations, messages, type aliases and imports for type checkers."""
    source = (root / module).read_text()
    tree = ast.parse(source)
    left_out = list(spans_without_numbers(tree))
    binary = [span_of(node) for node in ast.walk(tree) if isinstance(node, ast.BinOp | ast.AugAssign)]
    places = Places()
    places.walk(get_ast(source))
    return [
        Mutant(module, operator, occurrence, *start)
        for operator, positions in places.found.items()
        for occurrence, (start, _) in enumerate(positions)
        if not is_within(start, left_out)
        and ("Binary" not in operator or is_within(start, binary))  # no bare * of a call
    ]


def is_within(place, spans):
    """Whether a (line, column) lies in one of the spans."""
    return any(first <= place < last for first, last in spans)


def span_of(node):
    """((line, column) of the beginning, that of the end)."""
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def spans_without_numbers(tree):
    """(start, end) of what no answer depends on.

    Annotations, errors and their messages, imports for type checkers; the number of threads, which changes no byte;
    what an object prints as (repr=); the constants in AMOUNTS, and the sizes of blocks made of them; fixed seeds, for
    which any others will do.
    """
    for node in ast.walk(tree):
        parts = []
        if isinstance(node, ast.FunctionDef):
            arguments = [
                *node.args.posonlyargs,
                *node.args.args,
                *node.args.kwonlyargs,
                node.args.vararg,
                node.args.kwarg,
            ]
            parts = [node.returns, *(argument.annotation for argument in arguments if argument), *node.decorator_list]
            defaults = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            named = [*node.args.posonlyargs, *node.args.args]
            defaults = [*defaults, *zip(named[len(named) - len(node.args.defaults) :], node.args.defaults, strict=True)]
            parts += [default for argument, default in defaults if argument.arg == "n_threads"]
            if any(isinstance(part, ast.Name) and part.id == "overload" for part in node.decorator_list):
                parts = [node]
        elif isinstance(node, ast.AnnAssign):
            parts = [node.annotation, node.value if getattr(node.target, "id", "") == "n_threads" else None]
        elif isinstance(node, ast.ClassDef):
            parts = node.decorator_list
        elif isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr) or is_check(node):
            parts = [node]
        yield from (span_of(part) for part in parts if part is not None)


def is_check(node):
    """True for aliases of types, imports of type checkers, amounts, seeds, strict= of zip, n_threads= and repr=."""
    if isinstance(node, ast.keyword):
        return node.arg in ("strict", "n_threads", "repr")
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("Philox", "default_rng"):
        return all(isinstance(seed, ast.Constant) for seed in node.args)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in AMOUNTS:
        return True
    if isinstance(node, ast.Assign) and getattr(getattr(node.value, "func", None), "id", "") == "max":
        return any(isinstance(part, ast.Name) and part.id in AMOUNTS for part in ast.walk(node.value))
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Subscript | ast.BinOp):
        return False
    names = {part.id for part in ast.walk(node.value) if isinstance(part, ast.Name)}
    return bool({"NDArray", "Literal", "Callable", "Iterable", "Sequence", "Mapping"} & names)


def statement_lines(root: Path, module: str, line: int):
    """(first, last) line of the statement around a line, and whether it runs at import."""
    tree = ast.parse((root / module).read_text())
    best, is_imported = (line, line), True
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= node.end_lineno:
            continue
        if isinstance(node, ast.FunctionDef):
            is_imported = is_imported and line < node.body[0].lineno
            continue
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if body else node.end_lineno
        if line <= max(last, node.lineno):
            best = node.lineno, max(last, node.lineno)
    return best, is_imported
