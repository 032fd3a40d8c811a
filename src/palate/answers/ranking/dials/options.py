"""The dials as the caller gives them: numbers, names of columns and expressions, checked before a model sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from palate.errors import OptionError
from palate.options import check_between, is_number

CALIBRATED = 0.1  # how much calibrated="genres" counts: the divergence halves (docs/decisions.md)
BOOST = 0.3  # how much boost="margin" counts


@dataclass(frozen=True, kw_only=True)
class DialOptions:
    """The dials of Recommender.recommend(), described there. Raises OptionError for values that no model takes."""

    diversity: float = 0.0
    diversity_by: str | None = None
    popularity: float = 0.0
    calibrated: Any = None
    boost: Any = None

    def __post_init__(self) -> None:
        check_between(0, 1, diversity=self.diversity)
        check_between(-1, 1, popularity=self.popularity)
        if self.diversity_by is not None and not isinstance(self.diversity_by, str):
            raise OptionError(f"diversity_by={self.diversity_by!r}: give the name of a column, such as 'genres'.")
        self.calibrations()
        self.boosts()

    def calibrations(self) -> dict[str, float]:
        """How much the mix of each column counts."""
        given = self.calibrated
        if given is None:
            return {}
        named = {given: CALIBRATED} if isinstance(given, str) else given
        usage = 'give a column, such as "genres", or how much it counts, such as {"genres": 0.2}.'
        if not isinstance(named, Mapping) or not all(isinstance(name, str) and name for name in named):
            raise OptionError(f"calibrated={given!r}: {usage}")
        _check_strengths("calibrated", named, 0)
        return {name: float(strength) for name, strength in named.items() if strength}

    def boosts(self) -> list[tuple[Any, float]]:
        """The columns or expressions, and how much each counts. A polars expression is no key: it stands alone."""
        given = self.boost
        if given is None:
            return []
        if isinstance(given, Mapping):
            if not all(isinstance(text, str) and text.strip() for text in given):
                raise OptionError(f"boost={given!r}: {_USAGE}")
            _check_strengths("boost", given, -1)
            return [(text, float(strength)) for text, strength in given.items() if strength]
        if not is_expression(given) and (not isinstance(given, str) or not given.strip()):
            raise OptionError(f"boost={given!r}: {_USAGE}")
        return [(given, BOOST)]


_USAGE = (
    'give a column or an expression on columns, such as "margin", or how much each counts, such as {"margin": 0.2, '
    '"year >= 2020": 0.1}.'
)


def is_expression(value: Any) -> bool:
    """True for a polars expression."""
    return type(value).__name__ == "Expr" and type(value).__module__.startswith("polars")


def _check_strengths(option: str, given: Mapping[str, Any], lowest: float) -> None:
    """Raise OptionError unless each strength is a number from `lowest` to 1."""
    for name, strength in given.items():
        if not is_number(strength) or not lowest <= strength <= 1:
            raise OptionError(f"{option}={strength!r} for {name!r}: give a number from {lowest} to 1.")
