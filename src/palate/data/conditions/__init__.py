"""Conditions in SQL, such as "year >= 1990 AND genres LIKE '%Drama%'": which rows of a frame meet them."""

from palate.data.conditions.evaluating import condition, first_line
from palate.data.conditions.parsing import shown

__all__ = ["condition", "first_line", "shown"]
