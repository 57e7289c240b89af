"""A web server of this machine, for tests of downloads: it serves, breaks off, waits and redirects."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Serves `files`, {"/address": its bytes, or a function of the handler that answers}, with or without `ranges`.

    Each number in `cuts` breaks one answer off after so many bytes. `status`, if not 200, is all it says; `delay` is in
    seconds; `asked` collects (address, Range) of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes | Callable[[Handler], None]] = {}
        self.ranges, self.status, self.delay = True, 200, 0.0
        self.cuts: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        self.stop = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Quiet: a client that hangs up is what many tests want."""


class Handler(BaseHTTPRequestHandler):
    """Answers for `Server`."""

    server: Server

    def do_GET(self) -> None:
        wanted, content = self.headers["Range"], self.server.files.get(self.path)
        self.server.asked.append((self.path, wanted))
        time.sleep(self.server.delay)
        if self.server.status != 200 or content is None:
            return self.send_error(404 if content is None else self.server.status)
        if callable(content):
            return content(self)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.ranges else 0
        body = content[start:]
        if start and not body:
            return self.send_error(416)
        self.start(len(body), 206 if start else 200)
        self.wfile.write(body[: self.server.cuts.pop(0)] if self.server.cuts else body)

    def start(self, length: int | None = None, status: int = 200, **headers: str) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def silent(handler: Handler) -> None:
    """Never answers."""
    handler.server.stop.wait(30)


def endless(handler: Handler) -> None:
    """Sends bytes without end, as fast as they are taken."""
    handler.start()
    while not handler.server.stop.is_set():
        handler.wfile.write(bytes(10_000))


def dripping(handler: Handler) -> None:
    """Sends one byte now and then, without end."""
    handler.start()
    while not handler.server.stop.wait(0.02):
        handler.wfile.write(b"x")


def redirect(address: str, endlessly: bool = False) -> Callable[[Handler], None]:
    """Sends the client to another address, with an endless body of its own if wanted."""

    def answer(handler: Handler) -> None:
        handler.start(None if endlessly else 0, 302, Location=address)
        while endlessly and not handler.server.stop.is_set():
            handler.wfile.write(bytes(10_000))

    return answer


@contextmanager
def serving() -> Iterator[Server]:
    """A running server."""
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()
