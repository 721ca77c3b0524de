"""The live stream as a browser's EventSource reads it, with a failure of the store."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sep_kit.store import keys
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from tests.surface.running_stack import RunningStack, running_stack

pytestmark = pytest.mark.timeout(300)

PAIRS = {"EUR_USD", "USD_JPY"}


class EventSource:
    """Parses as the HTML standard defines (9.2.6); fails on what a browser would ignore."""

    def __init__(self, response: httpx.Response) -> None:
        assert response.status_code == 200
        kind, _, parameters = response.headers["content-type"].partition(";")
        assert kind == "text/event-stream"
        assert parameters.strip().lower() in {"", "charset=utf-8"}
        assert response.headers["cache-control"] == "no-store"
        assert "content-encoding" not in response.headers
        self._answer = response

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
                assert (field, colon) == ("data", ":"), "a browser would ignore this field"
                data.append(value.removeprefix(" "))
        assert not buffer, "a browser drops an incomplete event"
        assert not data


@pytest.fixture
async def stack(tmp_path: Path, valkey: ValkeyServer) -> AsyncIterator[RunningStack]:
    async with running_stack(tmp_path, valkey, EVAL_MANIFOLD_INTERVAL_SEC="0.5") as running:
        yield running


async def first_events(stack: RunningStack, count: int, last_event_id: str = "") -> list[Any]:
    headers = {"accept": "text/event-stream"}
    if last_event_id:
        headers["last-event-id"] = last_event_id
    found: list[Any] = []
    async with stack.http.stream("GET", "/api/manifold/stream", headers=headers) as response:
        async for event in EventSource(response):
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_a_browser_gets_the_error_as_an_event_and_the_whole_state_after_reconnecting(
    stack: RunningStack, valkey: ValkeyServer
) -> None:
    """An EventSource reopens a stream that ended."""
    errors, killed = [], False
    async with stack.http.stream("GET", "/api/manifold/stream") as response:
        seen: set[str] = set()
        async for event in EventSource(response):
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
    after: set[str] = set()
    async with asyncio.timeout(60):
        while after != PAIRS:
            try:
                events = await first_events(stack, 2, last_event_id="7")
            except AssertionError:
                await asyncio.sleep(0.2)  # 503 until the evaluator has reconnected to the store
                continue
            after = {e["manifold"]["instrument"] for e in events if "manifold" in e}


async def happened(
    stack: RunningStack, count: int, query: str = "", last: str = ""
) -> list[tuple[str, Any]]:
    """Id and data of each server-sent event, as a browser parses them."""
    headers = {"last-event-id": last} if last else {}
    found: list[tuple[str, Any]] = []
    async with stack.http.stream("GET", f"/api/events{query}", headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        number, data = "", ""
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = value
            elif field == "data":
                data = value
            elif not line and data:
                message = json.loads(data)
                data = ""
                if "event" in message:
                    found.append((number, message["event"]))
                    if len(found) == count:
                        return found
            else:
                assert not line, line
    return found


async def test_a_browser_resumes_events_by_the_id_of_the_last_one(stack: RunningStack) -> None:
    names = [f"surface-{number}" for number in range(300)]
    for name in names:
        record = {"event": "decision", "id": name, "ts": 1, "kind": "ENTRY",
                  "instrument": "EUR_USD", "reasons": ['{"event":{"id":"7"}}']}  # fmt: skip
        await stack.store.xadd(keys.GUARD_DECISIONS, {"decision": json.dumps(record)})

    async def decisions(last: str, query: str = "") -> list[tuple[str, str]]:
        """Until the last of the decisions."""
        found: list[tuple[str, str]] = []
        async with asyncio.timeout(90):
            count = 50
            while not found or found[-1][1] != names[-1]:
                page = await happened(stack, count, query, last)
                found += [
                    (number, json.loads(event["data"])["id"])
                    for number, event in page
                    if event["kind"] == "decision"
                ]
                assert all(number == event["id"] for number, event in page)
                last, count = page[-1][0], 1
        return [pair for pair in found if pair[1] in names]

    async def serves() -> bool:
        response = await stack.http.get("/api/journal/trades")
        return response.status_code == 200

    await eventually(serves, within_s=60)
    # The header wins over the address, to which a browser always reconnects.
    found = await decisions("0", "?last_event_id=0")
    assert [name for _, name in found] == names
    numbers = [int(number) for number, _ in found]
    assert numbers == sorted(set(numbers))
    half = found[150][0]
    assert await decisions(half) == found[151:]
    refused = await stack.http.get("/api/events", headers={"last-event-id": "x"})
    assert refused.status_code == 400
    beyond = await stack.http.get("/api/events?last_event_id=999999999")
    assert beyond.status_code == 400
