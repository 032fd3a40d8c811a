"""How heavy the page of `palate serve` is, and how soon it can be used.

`python benchmarks/page.py http://127.0.0.1:8000` asks a running server; it needs playwright and Chromium. Printed are
the bytes that a first visit transfers (bodies as sent, without headers), and the milliseconds from the request to the
first question and the first list on the page, for a browser with an empty cache. The first visit warms the server and
is not counted.
"""

from __future__ import annotations

import os
import shutil
import sys

from playwright.sync_api import Browser, sync_playwright

N_VISITS = 5
IS_USABLE = "() => document.querySelector('#items li[data-key]') && document.querySelector('#question h3')"
USABLE_AT = f"""new Promise((resolve) => {{
  const look = () => (({IS_USABLE})() ? resolve(performance.now()) : requestAnimationFrame(look));
  look();
}})"""


def visit(browser: Browser, address: str) -> tuple[float, int, int]:
    """Milliseconds until the page can be used, bytes and requests until nothing more comes."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(address, wait_until="commit")
    milliseconds = page.evaluate(USABLE_AT)
    page.wait_for_load_state("networkidle")
    sizes = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((entry) => entry.encodedBodySize)"
    )
    context.close()
    return milliseconds, sum(sizes), len(sizes)


def main(address: str) -> None:
    """Visit the page some times and print the best visit."""
    path = os.environ.get("PALATE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        visit(browser, address)
        visits = [visit(browser, address) for _ in range(N_VISITS)]
        browser.close()
    milliseconds = sorted(one[0] for one in visits)
    print(f"usable after {milliseconds[0]:.0f} ms (median {milliseconds[len(visits) // 2]:.0f} ms)")
    print(f"{visits[0][1] / 1000:.1f} kB in {visits[0][2]} requests")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
