"""Events through a real Envoy: their ids as a browser's EventSource reads and repeats them."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from sep.journal.v1 import journal_pb2, journal_pb2_grpc
from sep_edge.address import Address
from sep_edge.openapi.write import write_pages
from sep_testing.eventually import eventually

from .test_envoy import running_envoy, serve, settings_for

COUNT = 500
LONG = "x" * 3000
"""So that messages are split over pieces of the body."""


class Events(journal_pb2_grpc.JournalServiceServicer):
    """Sends all events after the id that was asked for, and a heartbeat."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def StreamEvents(
        self, request: journal_pb2.StreamEventsRequest, context: Any
    ) -> AsyncIterator[journal_pb2.StreamEventsResponse]:
        self.asked.append(request.last_event_id)
        if request.last_event_id and not request.last_event_id.isdigit():
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not an id")
        for number in range(int(request.last_event_id or 0) + 1, COUNT + 1):
            data = json.dumps({"text": 'data: {"event":{"id":"7"', "long": LONG * (number % 3)})
            event = journal_pb2.Event(id=str(number), ts_ms=1, kind="lock", data=data)
            yield journal_pb2.StreamEventsResponse(event=event)
        beat = journal_pb2.EventHeartbeat(ts_ms=2)
        yield journal_pb2.StreamEventsResponse(heartbeat=beat)


@dataclass
class Edge:
    """Envoy's client and the service behind it."""

    http: httpx.AsyncClient
    events: Events
    ids: list[str] = field(default_factory=list)


@pytest.fixture
async def edge(free_ports: Callable[[int], list[int]], tmp_path: Path) -> AsyncIterator[Edge]:
    listen, admin, *services = (Address("127.0.0.1", port) for port in free_ports(7))
    write_pages(tmp_path)
    settings = settings_for(listen, services, admin, tmp_path)
    events = Events()  # type: ignore[abstract]
    add = journal_pb2_grpc.add_JournalServiceServicer_to_server
    server, _ = await serve(services[-1].port, lambda s: add(events, s))
    async with (
        running_envoy(settings, tmp_path) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http,
    ):

        async def serves() -> bool:
            try:
                return (await http.get("/api/events?last_event_id=500")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(serves, within_s=30)
        events.asked.clear()
        yield Edge(http, events)
    await server.stop(0)


async def read(edge: Edge, query: str = "", last: str = "") -> list[tuple[str, Any]]:
    """Last id and data of each event, as the HTML standard has a browser keep them."""
    headers = {"last-event-id": last} if last else {}
    found: list[tuple[str, Any]] = []
    async with edge.http.stream("GET", f"/api/events{query}", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        number, data = last, ""
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                number = value
            elif name == "data":
                data += value
            else:
                assert not line, "a browser would ignore this field"
                if data:
                    found.append((number, json.loads(data)))
                data = ""
    return found


async def test_each_event_has_its_id_and_a_heartbeat_leaves_it(edge: Edge) -> None:
    *events, last = await read(edge, "?last_event_id=0")
    assert [number for number, _ in events] == [str(n) for n in range(1, COUNT + 1)]
    assert all(number == message["event"]["id"] for number, message in events)
    assert last == (str(COUNT), {"heartbeat": {"ts_ms": 2, "last_event_id": ""}})


async def test_the_header_of_a_browser_that_reconnects_wins_over_the_address(edge: Edge) -> None:
    found = await read(edge, "?last_event_id=0", last="490")
    assert edge.events.asked == ["490"]
    assert [number for number, _ in found] == [str(n) for n in range(491, COUNT + 1)] + ["500"]
    await read(edge, last="499")
    await read(edge, "?last_event_id=498")
    assert edge.events.asked == ["490", "499", "498"]


async def test_a_malformed_id_in_the_header_reaches_the_service_as_one(edge: Edge) -> None:
    response = await edge.http.get("/api/events", headers={"last-event-id": "1&last_event_id=2"})
    assert response.status_code == 400
    assert edge.events.asked == ["malformed"]
