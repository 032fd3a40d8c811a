"""A real browser for the pages: Chromium, driven by Playwright; skips where one of the two is missing."""

import os
import shutil
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="the pages are tested with Playwright: pip install -r requirements/dev.txt"
)
expect = playwright.expect

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


def chromium():
    found = os.environ.get("PALATE_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "google-chrome"))), None
    )
    if found is None:
        pytest.skip("the page is tested in Chromium: apt-get install chromium, or PALATE_CHROMIUM=path")
    return found


@contextmanager
def started():
    """A browser."""
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield launched
        launched.close()


WATCH = "addEventListener('securitypolicyviolation', (event) => console.error('policy', event.violatedDirective));"


@contextmanager
def watched(browser):
    """A function that opens an address; afterwards nothing may have gone wrong, and nothing have left the host."""
    contexts, faults = [], []

    def visit(address, *, allow=(), **options):
        context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | options
        )
        context.set_default_timeout(10_000)
        context.add_init_script(WATCH)
        contexts.append(context)
        page = context.new_page()
        host = urlsplit(address).netloc

        def heard(message):
            if message.type in ("error", "warning") and not any(text in message.text for text in allow):
                faults.append(message.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: urlsplit(request.url).netloc == host or faults.append(request.url))
        page.goto(address)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []
