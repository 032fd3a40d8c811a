"""An HTTP server on this machine, for the tests of downloads."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Files over HTTP on this machine, with the bad habits that a test asks for."""

    def __init__(self):
        self.files, self.requests, self.break_after, self.ranges, self.stall = {}, [], [], True, None
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                with contextlib.suppress(ConnectionError):  # the client may have hung up
                    owner.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        if self.stall is not None:
            self.stall.wait(10)
        content = self.files.get(request.path[1:])
        if content is None:
            request.send_error(404, "Not Found")
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if start and start >= len(content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(content)}")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        until = self.break_after.pop(0) if self.break_after else len(content)
        request.wfile.write(content[start : start + until])

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()
