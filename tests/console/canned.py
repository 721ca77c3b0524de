"""A server with canned answers in the API's own form, for states that a real stack rarely has.

Each answer is parsed into its message of the contract first, so that it can't have a form that the
API does not have.
"""

import contextlib
import importlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import sep
from google.protobuf import json_format, symbol_database
from sep_contract import read_contract

Json: TypeAlias = dict[str, Any]
Answer: TypeAlias = Json | Callable[[Mapping[str, str]], Json]
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Fault:
    """An error instead of an answer."""

    status: int
    reason: str

    def body(self) -> Json:
        """As Envoy and the services print it."""
        detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": self.reason}
        return {"code": 14, "message": f"canned {self.reason}", "details": [detail]}


@dataclass
class CannedStack:
    """``answers`` and ``faults`` by route, such as ``GET /api/status``; tests change them."""

    dist: Path
    answers: dict[str, Answer]
    faults: dict[str, Fault] = field(default_factory=dict)
    bodies: list[tuple[str, Json]] = field(default_factory=list)
    """Paths and bodies of the writes that arrived."""
    events: list[Json] = field(default_factory=list)
    """What the live stream begins with."""
    happened: list[Json] = field(default_factory=list)
    """Events of ``/api/events``, whose ids are their places, from 1 on; a test appends to it."""
    resumed: list[str] = field(default_factory=list)
    """The id after which each connection to ``/api/events`` began; empty for the present."""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Files that the API hands out, by path: name and content."""

    def __post_init__(self) -> None:
        self.stopped = threading.Event()
        import_messages()
        self._routes = {
            f"{m.verb} {m.route}": (_pattern(m.route), m.response)
            for m in read_contract().methods.values()
            if m.route
        }
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        # Each test stops its server, which waits for the next poll; the default is half a second.
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; open connections end with the process."""
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def reply(self, verb: str, url: str, body: Json) -> tuple[int, str, bytes]:
        """Status, content type and content."""
        parts = urlsplit(url)
        if verb == "POST":
            self.bodies.append((parts.path, body))
        if parts.path == "/openapi.json":
            paths = {name.split()[1] for name in self._routes}
            document: Json = {"paths": {path: {} for path in paths}}
            return 200, "application/json", json.dumps(document).encode()
        if parts.path in self.files:
            return 200, "application/octet-stream", self.files[parts.path][1]
        query = body if verb == "POST" else {k: v[0] for k, v in parse_qs(parts.query).items()}
        for name, (pattern, response) in self._routes.items():
            found = pattern.fullmatch(parts.path)
            if not (found and name.startswith(f"{verb} ")):
                continue
            fault = self.faults.get(name) or self.faults.get("*")
            if fault:
                return fault.status, "application/json", json.dumps(fault.body()).encode()
            answer = self.answers[name]
            members = {key: unquote(value) for key, value in found.groupdict().items()}
            content = answer({**query, **members}) if callable(answer) else answer
            if name == "GET /metrics":
                return 200, "text/plain", content["text"].encode()
            return 200, "application/json", printed(response, content).encode()
        return self._asset(parts.path)

    def _asset(self, path: str) -> tuple[int, str, bytes]:
        file = self.dist / ("index.html" if path == "/" else path.lstrip("/"))
        if ".." in path or not file.is_file():
            return 404, "application/json", json.dumps(Fault(404, "UNKNOWN_ROUTE").body()).encode()
        return 200, _TYPES.get(file.suffix, "text/plain"), file.read_bytes()


def printed(response: str, content: Json) -> str:
    """A message as the transcoder prints it.

    Raises:
        ParseError: the content has another form than the message.
    """
    message = symbol_database.Default().GetSymbol(response)()
    json_format.ParseDict(content, message)
    return json.dumps(
        json_format.MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    )


def import_messages() -> None:
    """Make every message of the contract known by its name."""
    for root in map(Path, sep.__path__):
        for file in root.rglob("*_pb2.py"):
            name = ".".join(("sep", *file.relative_to(root).with_suffix("").parts))
            importlib.import_module(name)


def _pattern(route: str) -> re.Pattern[str]:
    """As strict as the edge, which takes no other spelling of a path."""
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>(?:[A-Za-z0-9_.:-]|%3A)+)", route))


class EndOfStreamError(Exception):
    """The stream ended with an error that was sent."""


def _refuse(send: Callable[[Json], None], fault: Fault) -> Callable[[Json], None]:
    """In place of a first message: the error, and the end."""

    def refuse(_: Json) -> None:
        send({"error": {"reason": fault.reason, "message": "canned"}})
        raise EndOfStreamError

    return refuse


def _handler(stack: CannedStack) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path)
            if path.path == "/api/manifold/stream":
                self._manifolds()
            elif path.path == "/api/events":
                self._happened(parse_qs(path.query).get("last_event_id", [""])[0])
            else:
                self._send("GET", {})

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            self._send("POST", json.loads(self.rfile.read(length)))

        def _send(self, verb: str, body: Json) -> None:
            status, kind, content = stack.reply(verb, self.path, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            if self.path.split("?")[0] in stack.files:
                name = stack.files[self.path.split("?")[0]][0]
                self.send_header("content-disposition", f'attachment; filename="{name}"')
            self.end_headers()
            self.wfile.write(content)

        def _manifolds(self) -> None:
            name = "sep.evaluator.v1.StreamManifoldsResponse"
            with self._stream("GET /api/manifold/stream", name) as send:
                for event in stack.events:
                    send(event)
                while not stack.stopped.wait(2):
                    send({"heartbeat": {}})

        def _happened(self, last: str) -> None:
            name = "sep.journal.v1.StreamEventsResponse"
            with self._stream("GET /api/events", name) as send:
                place = int(last) if last else len(stack.happened)
                stack.resumed.append(last)
                send({"heartbeat": {"ts_ms": 1, "last_event_id": str(place)}})
                while "GET /api/events" not in stack.faults and not stack.stopped.wait(0.1):
                    for event in stack.happened[place:]:
                        place += 1
                        send({"event": {"id": str(place), **event}})

        @contextlib.contextmanager
        def _stream(self, route: str, name: str) -> Iterator[Callable[[Json], None]]:
            """How to send a message, until the tab leaves or the route has a fault."""
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()

            def send(message: Json) -> None:
                self.wfile.write(f"data: {printed(name, message)}\n\n".encode())

            fault = stack.faults.get(route) or stack.faults.get("*")
            with contextlib.suppress(OSError, EndOfStreamError):  # The tab was closed.
                yield _refuse(send, fault) if fault else send

        def log_message(self, *_: object) -> None:
            """Nothing: the test's output is not the server's."""

    return Handler
