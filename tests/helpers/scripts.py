"""Scripts outside the package (benchmarks, examples) as modules that tests can look into."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def module_at(path):
    """The script at this path as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
