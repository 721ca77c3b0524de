"""The surface of a running api: bodies, browsers, logs, what is kept, streams."""

import asyncio
import json
import time

import grpc
import httpx
import pytest
from redis.asyncio import Redis
from sep.evaluator.v1 import evaluator_pb2, evaluator_pb2_grpc
from sep_kit.store import keys
from sep_testing.eventually import eventually

from tests.e2e.calls import CALLERS, REST, reason, send
from tests.e2e.conftest import ORIGIN, Stack

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/api/trade/reconcile", {"dryrun": True}, "'dryrun'; known are: dry_run"),
        ("/api/trade/reconcile", {"dry_run": None}, "leave out dry_run"),
        ("/api/trade/reconcile", {"dry_run": True, "x": {"y": 1}}, "'x'"),
        ("/api/kill-switch", {"kill_switch": True, "reson": "x"}, "'reson'"),
        ("/api/kill-switch", {}, "kill_switch"),
        ("/api/candles/fetch", {"instrument": "EUR_USD"}, "'instrument'"),
        ("/api/trade/reconcile", {"dryRun": True}, "'dryRun'; known are: dry_run"),
        ("/api/trade/reconcile", {"dry_run": True, "dryRun": False}, "'dryRun'"),
    ],
)
def test_a_body_that_says_something_else_is_refused(
    api: Stack, path: str, body: object, told: str
) -> None:
    answer = api.post(path, body)
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")
    assert told in answer.json()["message"]


def test_a_body_that_is_said_twice_is_refused(api: Stack) -> None:
    answer = httpx.post(
        f"{api.url}/api/trade/reconcile",
        content=b'{"dry_run": true, "dry_run": false}',
        headers=CALLERS["writer"],
    )
    assert (answer.status_code, reason(answer)) == (400, "INVALID_ARGUMENT")


def test_browsers_of_the_configured_origin_may_call(api: Stack) -> None:
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    url = f"{api.url}/api/kill-switch"
    allowed = httpx.options(url, headers={"origin": ORIGIN, **asks})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    for path in ("/api/kill-switch", "/api/ranking/active", "/api/nothing"):
        answer = httpx.get(api.url + path, headers={"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    stranger = httpx.options(url, headers={"origin": "https://evil.example", **asks})
    assert "access-control-allow-origin" not in stranger.headers


def test_long_answers_are_compressed_for_who_asks(api: Stack) -> None:
    url = f"{api.url}/api/candles?instrument=EUR_USD&limit=120"
    packed = httpx.get(url, headers={"accept-encoding": "gzip"})
    plain = httpx.get(url, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert len(packed.json()["candles"]) == len(plain.json()["candles"]) == 120


async def test_one_request_id_runs_through_proxy_and_services(api: Stack) -> None:
    answer = api.post("/api/trade/reconcile", {"dry_run": True})
    request_id = answer.headers["x-request-id"]

    def told(part: str) -> bool:
        return request_id in (api.run_dir / "logs" / f"{part}.log").read_text()

    await eventually(lambda: all(map(told, ("envoy", "guard", "gateway"))), within_s=5)
    line = next(
        x for x in (api.run_dir / "logs" / "envoy.log").read_text().splitlines() if request_id in x
    )
    entry = json.loads(line)
    assert (entry["method"], entry["path"], entry["status"]) == (
        "POST",
        "/api/trade/reconcile",
        200,
    )


def test_facts_that_matter_now_are_never_kept(api: Stack) -> None:
    kept = {
        m.route
        for m in REST
        if "max-age" in send(api, m, **CALLERS["nobody"]).headers.get("cache-control", "")
    }
    assert kept == {m.route for m in REST if m.max_age_s}
    for path in ("/api/kill-switch", "/api/trade/readiness", "/api/oanda/account", "/health"):
        assert httpx.get(api.url + path).headers["cache-control"] == "no-store"


async def test_a_kept_answer_is_no_older_than_a_second(api: Stack) -> None:
    """Its age is counted from the time at which the service made it, by its facts' own times."""
    answers: list[tuple[float, float, float, float]] = []
    weights_times, blob_times = set[int](), set[int]()
    async with httpx.AsyncClient(base_url=api.url) as rest, Redis(port=api.port + 1) as store:

        async def remember_facts() -> None:
            weights, blob = await store.mget(keys.ALLOCATION_WEIGHTS, keys.GATES_BLOB)
            weights_times.add(json.loads(weights)["ts"])
            blob_times.add(json.loads(blob)["ts"])

        begins = time.monotonic() + 1.5  # by then no answer may hold facts from before
        while time.monotonic() < begins + 4:
            await remember_facts()
            if time.monotonic() < begins:
                await asyncio.sleep(0.02)
                continue
            asked = time.time_ns() / 1e9
            body = (await rest.get("/api/risk/allocation-status")).json()
            received = time.time_ns() / 1e9
            answers.append((asked, received, body["weights_age_seconds"], body["blob_age_seconds"]))
            await remember_facts()
    assert len(answers) > 100
    for asked, received, weights_age, blob_age in answers:
        # Both ages are whole milliseconds, counted back from the same moment.
        made = [
            ts / 1000 + weights_age
            for ts in weights_times
            if any(round(ts + 1000 * (weights_age - blob_age)) == blob for blob in blob_times)
        ]
        made = [moment for moment in made if moment <= received + 0.001]
        assert made, "the answer holds facts that were never stored"
        assert asked - max(made) < 1.1


def test_a_holder_of_a_key_is_answered_afresh(api: Stack) -> None:
    answer = httpx.get(f"{api.url}/api/ranking/active", headers=CALLERS["reader"])
    assert answer.headers["cache-control"] == "no-store"


def test_a_browser_can_follow_the_stream_and_begins_anew_when_it_comes_back(
    api: Stack,
) -> None:
    for _ in range(2):
        seen = set()
        headers = {"accept": "text/event-stream", "last-event-id": "7"}
        with httpx.stream("GET", f"{api.url}/api/manifold/stream", headers=headers) as answer:
            assert answer.headers["content-type"] == "text/event-stream"
            assert answer.headers["cache-control"] == "no-store"
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    seen.add(json.loads(line[6:])["manifold"]["instrument"])
                if len(seen) == 8:
                    break


async def test_the_native_stream_says_the_same(channel: grpc.aio.Channel) -> None:
    stub = evaluator_pb2_grpc.EvaluatorServiceStub(channel)
    request = evaluator_pb2.StreamManifoldsRequest(instrument="EUR_USD")
    async for event in stub.StreamManifolds(request, timeout=20):
        assert event.manifold.instrument == "EUR_USD"
        break


def test_a_stream_of_nothing_is_an_error_from_the_start(api: Stack) -> None:
    answer = httpx.get(f"{api.url}/api/manifold/stream?instrument=XXX_YYY")
    assert (answer.status_code, reason(answer)) == (404, "UNKNOWN_INSTRUMENT")
