"""Real sinks of notifications on loopback: an HTTP and an SMTP server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from aiosmtpd.controller import Controller
from sep_testing.ports import reserve_ports

SECRET = "hunter2secret"


@dataclass
class HttpSink:
    """An HTTP server: it records bodies and answers with ``status``; None: it never answers."""

    url: str = ""
    status: int | None = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    gets: int = 0


@contextmanager
def running_http_sink() -> Iterator[HttpSink]:
    sink = HttpSink()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            sink.gets += 1
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if sink.status == 200:
                sink.bodies.append(json.loads(body))
                sink.ids.append(self.headers["X-Notification-Id"])
            self._answer()

        def _answer(self) -> None:
            if sink.status is None:
                self.rfile.read(1)  # until the client gives up
                return
            self.send_response(sink.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    sink.url = f"json://user:{SECRET}@127.0.0.1:{server.server_port}/hook"
    yield sink
    server.shutdown()
    server.server_close()


@dataclass
class Mailbox:
    """Messages that an SMTP server took."""

    url: str = ""
    messages: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.messages.append(envelope.content.decode())
        return "250 taken"


@contextmanager
def running_mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    port = reserve_ports(1)
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    box.url = f"mailto://127.0.0.1:{port}?from=sep@example.com&to=ops@example.com&mode=insecure"
    yield box
    controller.stop()
