"""The page of administration in a real browser."""

import pytest

pytest.importorskip(
    "playwright", reason="the page is tested with Chromium: pip install playwright, apt install chromium"
)
