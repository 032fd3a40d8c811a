"""Drawings of plain values in matplotlib axes. Results and plotting decide what is drawn, these modules how it looks.

Nothing here needs pyplot, opens a window or changes settings. Only the modules beside this one import matplotlib.
"""

from __future__ import annotations

from palate.errors import OptionError


def check_matplotlib(what: str = "a picture") -> None:
    """Raise OptionError, which says what to install, if matplotlib is missing. what: what needs it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise OptionError(f"{what} needs matplotlib: pip install 'palate[plot]'.") from None
