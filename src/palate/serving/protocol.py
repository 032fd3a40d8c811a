"""HTTP as uvicorn speaks it, with limits on the head of a request: endless, slow or never begun."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 128 * 1024  # bytes of address and headers, beside one piece that was read at once
HEAD_SECONDS = 10.0


class BoundedProtocol(HttpToolsProtocol):
    """One connection. uvicorn would keep headers without end in memory, and a silent connection open for ever."""

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request, but not for ever."""
        super().connection_made(transport)
        self._n_head, self._in_head = 0, False
        self._patience: asyncio.TimerHandle | None = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in a piece; end the connection if the head is too large already."""
        was_in_head = self._in_head
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._n_head += len(data) if was_in_head else 0
        if self._n_head > MAX_HEAD:
            self.send_400_response("The address and the headers are too long.")
        elif self._patience is None:
            self._patience = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._n_head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        """It is here."""
        self._in_head = False
        self._be_patient()
        super().on_headers_complete()

    def _be_patient(self) -> None:
        """End what waits for a head."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
