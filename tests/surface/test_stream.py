"""The live stream as a browser's EventSource reads it, through failure and back."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sep_testing.valkey import ValkeyServer

from tests.surface.world import World, running_world

pytestmark = pytest.mark.timeout(120)

PAIRS = {"EUR_USD", "USD_JPY"}


class EventSource:
    """Parses as the HTML standard says (9.2.6), and refuses what it says to ignore."""

    def __init__(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200
        kind, _, parameters = answer.headers["content-type"].partition(";")
        assert kind == "text/event-stream"
        assert parameters.strip().lower() in {"", "charset=utf-8"}
        assert answer.headers["cache-control"] == "no-store"
        assert "content-encoding" not in answer.headers
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[Any]:
        """The data of each event, as JSON."""
        buffer, data = b"", list[str]()
        async for piece in self._answer.aiter_raw():
            buffer += piece
            *lines, buffer = buffer.split(b"\n")
            for raw in lines:
                line = raw.removesuffix(b"\r").decode("utf-8")
                if line.startswith(":"):
                    continue
                if not line:
                    assert data, "a browser drops an event without data"
                    yield json.loads("\n".join(data))
                    data = []
                    continue
                field, colon, value = line.partition(":")
                assert (field, colon) == ("data", ":"), "no handler would be called for it"
                data.append(value.removeprefix(" "))
        assert not buffer, "a browser drops an event that is cut off"
        assert not data


@pytest.fixture
async def world(tmp_path: Path, valkey: ValkeyServer) -> AsyncIterator[World]:
    async with running_world(tmp_path, valkey, EVAL_MANIFOLD_INTERVAL_SEC="0.5") as running:
        yield running


async def first_events(world: World, wanted: int, last_event_id: str = "") -> list[Any]:
    headers = {"accept": "text/event-stream"}
    if last_event_id:
        headers["last-event-id"] = last_event_id
    found: list[Any] = []
    async with world.http.stream("GET", "/api/manifold/stream", headers=headers) as answer:
        async for event in EventSource(answer):
            found.append(event)
            if len(found) == wanted:
                break
    return found


async def test_a_browser_sees_an_error_in_band_and_has_everything_when_it_comes_back(
    world: World, valkey: ValkeyServer
) -> None:
    """An EventSource opens a stream that ended again by itself."""
    errors, killed = [], False
    async with world.http.stream("GET", "/api/manifold/stream") as answer:
        seen: set[str] = set()
        async for event in EventSource(answer):
            (kind,) = event
            if kind == "manifold":
                seen.add(event["manifold"]["instrument"])
                if seen == PAIRS and not killed:
                    killed = True
                    valkey.kill()
            elif kind == "error":
                errors.append(event["error"])
    assert seen == PAIRS
    assert [error["reason"] for error in errors] == ["STORE_UNAVAILABLE"]
    assert errors[0]["message"]
    valkey.start()
    again: set[str] = set()
    async with asyncio.timeout(60):
        while again != PAIRS:
            try:
                events = await first_events(world, 2, last_event_id="7")
            except AssertionError:
                await asyncio.sleep(0.2)  # 503 while the evaluator has not found the store again
                continue
            again = {e["manifold"]["instrument"] for e in events if "manifold" in e}
