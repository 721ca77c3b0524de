"""Ids in paths through a real Envoy: each spelling of an id reaches the service as the id."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sep.journal.v1 import journal_pb2, journal_pb2_grpc
from sep_edge.address import Address
from sep_edge.openapi.write import write_pages
from sep_testing.eventually import eventually

from .test_envoy import running_envoy, serve, settings_for

ID = "2026-11-27T08:00:00.000Z:EUR_JPY"


class Decisions(journal_pb2_grpc.JournalServiceServicer):
    """Remembers the ids that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def GetDecision(
        self, request: journal_pb2.GetDecisionRequest, context: Any
    ) -> journal_pb2.GetDecisionResponse:
        self.asked.append(request.id)
        return journal_pb2.GetDecisionResponse()


@dataclass
class Edge:
    """Envoy's client and the service behind it."""

    http: httpx.AsyncClient
    decisions: Decisions


@pytest.fixture
async def edge(free_ports: Callable[[int], list[int]], tmp_path: Path) -> AsyncIterator[Edge]:
    listen, admin, *services = (Address("127.0.0.1", port) for port in free_ports(7))
    write_pages(tmp_path)
    decisions = Decisions()  # type: ignore[abstract]
    add = journal_pb2_grpc.add_JournalServiceServicer_to_server
    server, _ = await serve(services[-1].port, lambda s: add(decisions, s))
    settings = settings_for(listen, services, admin, tmp_path)
    async with (
        running_envoy(settings, tmp_path) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as http,
    ):

        async def serves() -> bool:
            try:
                return (await http.get("/api/decisions/first")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(serves, within_s=30)
        decisions.asked.clear()
        yield Edge(http, decisions)
    await server.stop(0)


@pytest.mark.parametrize("spelling", [ID, quote(ID, safe=""), quote(ID, safe="").lower()])
async def test_a_colon_may_be_escaped_or_not(edge: Edge, spelling: str) -> None:
    response = await edge.http.get(f"/api/decisions/{spelling}")
    assert response.status_code == 200
    assert [i.lower() for i in edge.decisions.asked] == [ID.lower()]


@pytest.mark.parametrize(
    "escape", ["%2F", "%2f", "%00", "%0A", "%25", "%3F", "%23", "%5C", "%C3%A4"]
)
async def test_no_other_escape_passes(edge: Edge, escape: str) -> None:
    response = await edge.http.get(f"/api/decisions/a{escape}b")
    assert response.status_code in (400, 404)
    assert response.json()["details"][0]["reason"]
    assert edge.decisions.asked == []
