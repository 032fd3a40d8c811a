"""Conditions in SQL, such as "year >= 1990 AND genres LIKE '%Drama%'": which rows of a frame meet them."""

from palate.data.conditions.outcomes import condition, first_line, numbers
from palate.data.conditions.parsing import shown

__all__ = ["condition", "first_line", "numbers", "shown"]
