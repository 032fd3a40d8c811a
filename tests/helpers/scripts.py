"""Scripts outside the package (benchmarks, examples) as modules that tests can look into."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def module_at(path):
    """The script at this path as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module
