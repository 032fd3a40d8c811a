"""The web page: its files, read once at the start. A path is a key of a table, so nothing else can be asked for."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
PAGES = {"index.html": "/", "admin.html": "/admin"}

# No inline script or style, no other host, no frame around it, and no text that becomes markup.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Cache-Control": "no-cache",  # a browser keeps the files, and asks each time whether they have changed
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class File:
    """A file of the page, as it is and compressed."""

    type: str
    content: bytes
    compressed: bytes
    digest: str

    @classmethod
    def of(cls, name: str, content: bytes) -> File:
        """A file of this name; its ending says what it is."""
        digest = hashlib.sha256(content).hexdigest()[:16]
        return cls(TYPES[name.rpartition(".")[2]], content, gzip.compress(content, mtime=0), digest)

    async def answer(self, request: Request) -> Response:
        """The file; nothing but its headers if the browser has it already."""
        is_compressed = "gzip" in request.headers.get("accept-encoding", "")
        tag = f'"{self.digest}{"-gzip" if is_compressed else ""}"'
        headers = HEADERS | {"ETag": tag}
        if tag in (given.strip().removeprefix("W/") for given in request.headers.get("if-none-match", "").split(",")):
            return Response(status_code=304, headers=headers)
        if not is_compressed:
            return Response(self.content, headers=headers, media_type=self.type)
        return Response(self.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=self.type)


def page_files() -> dict[str, File]:
    """Each file of the pages by its path: "/" is index.html, "/admin" is admin.html, the others lie in "/page/"."""
    found = (one for one in files("palate.serving").joinpath("page").iterdir() if one.name.rpartition(".")[2] in TYPES)
    made = {one.name: File.of(one.name, one.read_bytes()) for one in found}
    return {PAGES.get(name, f"/page/{name}"): file for name, file in sorted(made.items())}


def page_routes() -> list[Route]:
    """A route for each file."""
    return [Route(path, file.answer, methods=["GET"], name=f"page {path}") for path, file in page_files().items()]
