"""An HTTP server that answers as Alertmanager does, for commands that send alerts to one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class FakeAlertmanager:
    """Sends each alert to the destinations of one receiver.

    Attributes:
        destinations: receiver and kind of message of each.
        fails: how many requests of each destination fail before one succeeds.
        names_receivers: whether the metrics have the receiver's name.
        suppressed: whether a silence matches every alert.
        broken: answers of this status and text instead, by path.
    """

    url: str = ""
    receiver: str = "phone"
    destinations: tuple[tuple[str, str], ...] = (("phone", "telegram"),)
    fails: dict[tuple[str, str], int] = field(default_factory=dict)
    names_receivers: bool = True
    suppressed: bool = False
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    failed: dict[tuple[str, str], int] = field(default_factory=dict)
    queries: list[str] = field(default_factory=list)

    def tick(self) -> None:
        """A request to each destination that has not taken every alert yet."""
        for place in self.destinations:
            sent, failed = self.sent.get(place, 0), self.failed.get(place, 0)
            if not self.suppressed and sent - failed < len(self.alerts):
                self.sent[place] = sent + 1
                if failed < self.fails.get(place, 0):
                    self.failed[place] = failed + 1

    def metrics(self) -> str:
        """Its metrics page: how many requests each destination had, and how many failed."""
        self.tick()
        lines = []
        for name, counts in (("requests", self.sent), ("requests_failed", self.failed)):
            lines.append(f"# TYPE alertmanager_notification_{name}_total counter")
            for place in (*self.destinations, ("watchdog", "webhook")):
                receiver = f',receiver_name="{place[0]}"' if self.names_receivers else ""
                labels = f'integration="{place[1]}"{receiver}'
                lines.append(
                    f"alertmanager_notification_{name}_total{{{labels}}} {counts.get(place, 0)}"
                )
        return "\n".join([*lines, ""])

    def listed(self) -> list[dict[str, Any]]:
        """Every alert that it got, in the form of its API."""
        state = "suppressed" if self.suppressed else "active"
        return [
            {
                "labels": a["labels"],
                "receivers": [{"name": self.receiver}],
                "status": {"state": state},
            }
            for a in self.alerts
        ]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        """Status and text of the answer to a call."""
        route, _, query = path.partition("?")
        if route in self.broken:
            return self.broken[route]
        if (method, route) == ("POST", "/api/v2/alerts"):
            self.alerts += json.loads(body)
            return 200, ""
        if (method, route) == ("GET", "/api/v2/alerts"):
            self.queries.append(query)
            return 200, json.dumps(self.listed())
        return (200, self.metrics()) if route == "/metrics" else (404, "")


@contextmanager
def serving(fake: FakeAlertmanager) -> Iterator[FakeAlertmanager]:
    """Serve it on a free port of loopback, and fill in its ``url``."""

    class Handler(BaseHTTPRequestHandler):
        def handle_call(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, text = fake.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = handle_call  # noqa: N815  names of the standard library

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
