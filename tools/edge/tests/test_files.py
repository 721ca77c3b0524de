"""Files through a real Envoy: raw bytes with the service's own content type."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from sep.journal.v1 import journal_pb2, journal_pb2_grpc
from sep_edge.address import Address
from sep_edge.openapi.write import write_pages
from sep_testing.eventually import eventually

from .test_envoy import running_envoy, serve, settings_for

PIECES = 700
PIECE = bytes(range(256)) * 256
"""46 MB altogether: more than the largest response that Envoy holds as a whole."""


class Files(journal_pb2_grpc.JournalServiceServicer):
    """Sends a file of many pieces, or fails before the first."""

    async def StreamExport(
        self, request: journal_pb2.StreamExportRequest, context: Any
    ) -> AsyncIterator[journal_pb2.StreamExportResponse]:
        if request.kind == "decisions":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the journal's database fails")
        for _ in range(PIECES if request.kind == "transactions" else 1):
            body = httpbody_pb2.HttpBody(content_type="text/csv; charset=utf-8", data=PIECE)
            yield journal_pb2.StreamExportResponse(piece=body)


@pytest.fixture
async def http(
    free_ports: Callable[[int], list[int]], tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    listen, admin, *services = (Address("127.0.0.1", port) for port in free_ports(7))
    write_pages(tmp_path)
    settings = settings_for(listen, services, admin, tmp_path)
    files = Files()  # type: ignore[abstract]
    add = journal_pb2_grpc.add_JournalServiceServicer_to_server
    server, _ = await serve(services[-1].port, lambda s: add(files, s))
    async with (
        running_envoy(settings, tmp_path) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as client,
    ):

        async def serves() -> bool:
            try:
                return (await client.get("/api/journal/export")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(serves, within_s=30)
        yield client
    await server.stop(0)


async def test_a_file_arrives_byte_for_byte_with_its_type(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/journal/export?kind=trades")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.content == PIECE


async def test_a_file_longer_than_a_response_may_be_is_passed_on_in_pieces(
    http: httpx.AsyncClient,
) -> None:
    length = 0
    async with http.stream("GET", "/api/journal/export?kind=transactions") as response:
        assert response.status_code == 200
        async for piece in response.aiter_bytes():
            length += len(piece)
    assert length == PIECES * len(PIECE)


async def test_what_fails_before_the_first_piece_is_an_error(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/journal/export?kind=decisions")
    assert response.status_code == 503
    assert response.json()["message"] == "the journal's database fails"


async def test_head_of_a_file_makes_no_file(http: httpx.AsyncClient) -> None:
    response = await http.head("/api/journal/export?kind=transactions")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/octet-stream"
