"""The files of the web page: which there are, what is sent with them, and that nothing else is."""

import re
from pathlib import Path

import pytest

import palate
from helpers.page_server import app_of, asking

PAGE = Path(palate.__file__).parent / "serving" / "page"


@pytest.fixture(scope="module")
def client():
    """A function that gets a path, as it is written."""
    ask = asking(app_of(palate.Bias().fit(palate.datasets.synthetic(30, 20, 300, seed=1))))
    return lambda path, headers=None: ask(path, headers=headers)


@pytest.mark.parametrize(
    "path", ["/", *(f"/page/{one.name}" for one in sorted(PAGE.iterdir()) if one.suffix != ".html")]
)
def test_files_have_their_types_and_a_strict_policy(client, path):
    answer = client(path)
    kind = {"": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}[Path(path).suffix]
    assert answer.status_code == 200 and answer.headers["content-type"].partition(";")[0] == kind
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'" and "unsafe" not in str(policy)
    assert policy["base-uri"] == policy["frame-ancestors"] == policy["object-src"] == policy["form-action"] == "'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    tag = answer.headers["etag"]
    again = client(path, {"If-None-Match": f'"other", {tag}'})
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
    plain = client(path, {"Accept-Encoding": "identity"})
    assert plain.headers["etag"] != tag and plain.content == answer.content
    assert "content-encoding" not in plain.headers and answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    "path",
    ["/page/../app.py", "/page/..%2fapp.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/page/index.html", "/page/",
     "/page/main.js/", "/page/main.js%00", "/page/__init__.py", "/page/..\\app.py", "/page/MAIN.JS"],
)  # fmt: skip
def test_nothing_but_the_files_is_served(client, path):
    assert client(path).status_code in (404, 307)
    assert "import" not in client(path).text


def test_the_page_names_every_module_and_no_other_host():
    index = (PAGE / "index.html").read_text(encoding="utf-8")
    modules = {one.name for one in PAGE.glob("*.js")} - {"main.js"}
    assert set(re.findall(r'modulepreload" href="/page/([\w.]+)"', index)) == modules
    for one in PAGE.iterdir():
        text = one.read_text(encoding="utf-8")
        assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|style=|\son\w+=", text)
