"""Compression: gzip, bzip2, xz and Zstandard, told by the first bytes and unpacked as the data are read."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import IO, Any, cast

from palate.errors import DataError

HEAD = 1 << 16  # bytes that tell what a file is
MAX_LAYERS = 3  # a file packed more often than this is no file of ratings
AT_ONCE = 1 << 24  # bytes read at a time
MAX_MEMORY = 1 << 30  # bytes that a decoder may take
DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    struct.error,
)

ZSTANDARD = "Zstandard"
COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x5d\0\0": "lzma",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}


def decompressed(stream: Any, name: str) -> tuple[Any, bytes, list[str]]:
    """The stream without layers of compression, its first bytes, and what the layers were, the outer one first.

    Raises DataError if there are too many, as in a file that unpacks to itself.
    """
    layers: list[str] = []
    while True:
        head = read_full(stream, HEAD)
        stream = Rewound(head, stream)
        found = next((kind for magic, kind in COMPRESSIONS.items() if head.startswith(magic)), None)
        if found is None:
            return stream, head, layers
        if len(layers) == MAX_LAYERS:
            raise DataError(f"{name} is compressed more than {MAX_LAYERS} times: unpack it first.")
        layers.append(found)
        stream = DECOMPRESSORS[found](stream)


def read_full(stream: Any, n: int) -> bytes:
    """The next n bytes, fewer at the end only: pipes give what they have."""
    if n < 0:
        return cast(bytes, stream.read())
    parts, missing = [], n
    while missing:
        part = stream.read(min(missing, AT_ONCE))  # a file takes the memory of what it is asked for
        if not part:
            break
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


class Rewound:
    """A stream with the bytes that were already read from it put back."""

    def __init__(self, first: bytes, stream: Any) -> None:
        self.first = first
        self.stream = stream

    def read(self, n: int = -1) -> bytes:
        """The next bytes, at most n."""
        if n < 0:
            first, self.first = self.first, b""
            return first + cast(bytes, self.stream.read())
        first, self.first = self.first[:n], self.first[n:]
        return first or cast(bytes, self.stream.read(n))


class Unpacking:
    """Compressed data as a stream that is unpacked as it is read; several members in a row are one stream.

    `new()` makes a decoder with `decompress`, `eof` and `unused_data`, as those of bz2 and lzma; `step` is how many
    bytes one is given at a time.
    """

    def __init__(self, stream: Any, new: Callable[[], Any], step: int) -> None:
        self.stream = stream
        self.new = new
        self.step = step
        self.decoder: Any = None
        self.rest = b""
        self.unpacked = b""

    def read(self, n: int = -1) -> bytes:
        """The next bytes, at most n. Raises EOFError if the data end within a member."""
        if n < 0:
            return b"".join(iter(lambda: self.read(HEAD), b""))
        while not self.unpacked:
            data, self.rest = self.rest or self.stream.read(self.step), b""
            if not data:
                if self.decoder is not None:
                    raise EOFError("the compressed data end too early")
                return b""
            self.decoder = self.decoder or self.new()
            self.unpacked = self.decoder.decompress(data)
            if self.decoder.eof:
                self.rest, self.decoder = self.decoder.unused_data.lstrip(b"\0"), None
        out, self.unpacked = self.unpacked[:n], self.unpacked[n:]
        return out


def _xz(stream: Any) -> Unpacking:
    return Unpacking(stream, lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY), 1 << 12)


def _zstandard(stream: Any) -> Unpacking:
    return Unpacking(stream, _new_zstandard(), 1 << 10)


def _new_zstandard() -> Callable[[], Any]:
    """What makes decoders of Zstandard: those of Python 3.14, or of the package zstandard."""
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]

        return cast(Callable[[], Any], zstd.ZstdDecompressor)
    except ImportError:
        pass
    try:
        import zstandard
    except ImportError:
        raise DataError(
            "a file compressed by Zstandard needs a package to unpack it: pip install 'palate[zstd]'. Or unpack it "
            "with `unzstd`."
        ) from None
    return lambda: _ZstdDecoder(zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError)


class _ZstdDecoder:
    """A decoder of the package zstandard whose errors are OSErrors."""

    def __init__(self, decoder: Any, error: type[Exception]) -> None:
        self.decoder = decoder
        self.error = error

    def decompress(self, data: bytes) -> bytes:
        try:
            return cast(bytes, self.decoder.decompress(data))
        except self.error as error:
            raise OSError(str(error)) from error

    @property
    def eof(self) -> bool:
        return bool(self.decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return cast(bytes, self.decoder.unused_data)


DECOMPRESSORS: dict[str, Callable[[Any], Any]] = {
    "gzip": lambda stream: gzip.GzipFile(fileobj=cast(IO[bytes], stream)),
    "bzip2": lambda stream: bz2.BZ2File(cast(IO[bytes], stream)),
    "xz": _xz,
    "lzma": _xz,
    ZSTANDARD: _zstandard,
}
