"""HTTP behaviour of a running stack: bodies, CORS, compression, logs, caching, streams."""

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

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/api/trade/reconcile", {"dryrun": True}, "'dryrun'; known are: dry_run"),
        ("/api/trade/reconcile", {"dry_run": None}, "dry_run is null"),
        ("/api/trade/reconcile", {"dry_run": True, "x": {"y": 1}}, "'x'"),
        ("/api/kill-switch", {"kill_switch": True, "reson": "x"}, "'reson'"),
        ("/api/kill-switch", {}, "kill_switch"),
        ("/api/candles/fetch", {"instrument": "EUR_USD"}, "'instrument'"),
        ("/api/trade/reconcile", {"dryRun": True}, "'dryRun'; known are: dry_run"),
        ("/api/trade/reconcile", {"dry_run": True, "dryRun": False}, "'dryRun'"),
    ],
)
def test_an_unknown_or_null_body_field_is_refused(
    api: Stack, path: str, body: object, expected: str
) -> None:
    response = api.post(path, body)
    assert (response.status_code, reason(response)) == (400, "INVALID_ARGUMENT")
    assert expected in response.json()["message"]


def test_a_duplicate_body_field_is_refused(api: Stack) -> None:
    response = httpx.post(
        f"{api.url}/api/trade/reconcile",
        content=b'{"dry_run": true, "dry_run": false}',
        headers=CALLERS["writer"],
        timeout=30,
    )
    assert (response.status_code, reason(response)) == (400, "INVALID_ARGUMENT")


def test_browsers_of_a_configured_origin_may_call(api: Stack) -> None:
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    url = f"{api.url}/api/kill-switch"
    allowed = httpx.options(url, headers={"origin": ORIGIN, **asks}, timeout=30)
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    for path in ("/api/kill-switch", "/api/ranking/active", "/api/nothing"):
        response = httpx.get(api.url + path, headers={"origin": ORIGIN}, timeout=30)
        assert response.headers["access-control-allow-origin"] == ORIGIN
    other_origin = httpx.options(
        url, headers={"origin": "https://evil.example", **asks}, timeout=30
    )
    assert "access-control-allow-origin" not in other_origin.headers


def test_long_responses_are_compressed_on_request(api: Stack) -> None:
    url = f"{api.url}/api/candles?instrument=EUR_USD&limit=120"
    packed = httpx.get(url, headers={"accept-encoding": "gzip"}, timeout=30)
    plain = httpx.get(url, headers={"accept-encoding": "identity"}, timeout=30)
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert len(packed.json()["candles"]) == len(plain.json()["candles"]) == 120


async def test_one_request_id_is_in_the_logs_of_proxy_and_services(api: Stack) -> None:
    response = api.post("/api/trade/reconcile", {"dry_run": True})
    request_id = response.headers["x-request-id"]

    def logged(part: str) -> bool:
        return request_id in (api.run_dir / "logs" / f"{part}.log").read_text()

    await eventually(lambda: all(map(logged, ("envoy", "guard", "gateway"))), within_s=30)
    line = next(
        x for x in (api.run_dir / "logs" / "envoy.log").read_text().splitlines() if request_id in x
    )
    entry = json.loads(line)
    assert (entry["method"], entry["path"], entry["status"]) == (
        "POST",
        "/api/trade/reconcile",
        200,
    )


def test_only_reads_with_a_max_age_are_cached(api: Stack) -> None:
    cached = {
        m.route
        for m in REST
        if "max-age" in send(api, m, **CALLERS["anonymous"]).headers.get("cache-control", "")
    }
    assert cached == {m.route for m in REST if m.max_age_s}
    for path in ("/api/kill-switch", "/api/trade/readiness", "/api/oanda/account", "/health"):
        assert httpx.get(api.url + path, timeout=30).headers["cache-control"] == "no-store"


async def test_a_cached_response_is_no_older_than_a_second(api: Stack) -> None:
    """Its age counts from when the service made it, by the times of the facts in it."""
    answers: list[tuple[float, float, float, float]] = []
    weights_times, blob_times = set[int](), set[int]()
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=30) as rest,
        Redis(port=api.port + 1) as store,
    ):

        async def remember() -> None:
            weights, blob = await store.mget(keys.ALLOCATION_WEIGHTS, keys.GATES_BLOB)
            assert weights
            assert blob
            weights_times.add(json.loads(weights)["ts"])
            blob_times.add(json.loads(blob)["ts"])

        begins = time.monotonic() + 1.5  # by then no response may hold older facts
        # Longer on a machine that is busy: few answers would prove nothing.
        while time.monotonic() < begins + 4 or len(answers) <= 100:
            await remember()
            if time.monotonic() < begins:
                await asyncio.sleep(0.02)
                continue
            asked = time.time_ns() / 1e9
            body = (await rest.get("/api/risk/allocation-status")).json()
            received = time.time_ns() / 1e9
            answers.append((asked, received, body["weights_age_seconds"], body["blob_age_seconds"]))
            await remember()
    for asked, received, weights_age, blob_age in answers:
        # Both ages are whole milliseconds, counted back from the same moment.
        made = [
            ts / 1000 + weights_age
            for ts in weights_times
            if any(round(ts + 1000 * (weights_age - blob_age)) == blob for blob in blob_times)
        ]
        made = [moment for moment in made if moment <= received + 0.001]
        assert made, "the response holds facts that were never stored"
        assert asked - max(made) < 1.1


def test_a_caller_with_a_key_gets_no_cached_response(api: Stack) -> None:
    response = httpx.get(f"{api.url}/api/ranking/active", headers=CALLERS["reader"], timeout=30)
    assert response.headers["cache-control"] == "no-store"


def test_a_browser_gets_the_whole_state_each_time_it_opens_the_stream(
    api: Stack,
) -> None:
    for _ in range(2):
        seen = set()
        headers = {"accept": "text/event-stream", "last-event-id": "7"}
        with httpx.stream(
            "GET", f"{api.url}/api/manifold/stream", headers=headers, timeout=30
        ) as response:
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-store"
            for line in response.iter_lines():
                if line.startswith("data: "):
                    seen.add(json.loads(line[6:])["manifold"]["instrument"])
                if len(seen) == 8:
                    break


async def test_the_native_stream_has_the_same_content(channel: grpc.aio.Channel) -> None:
    stub = evaluator_pb2_grpc.EvaluatorServiceStub(channel)
    request = evaluator_pb2.StreamManifoldsRequest(instrument="EUR_USD")
    async for event in stub.StreamManifolds(request, timeout=20):
        assert event.manifold.instrument == "EUR_USD"
        break


def test_a_stream_of_an_unknown_instrument_is_an_error_response(api: Stack) -> None:
    response = httpx.get(f"{api.url}/api/manifold/stream?instrument=XXX_YYY", timeout=30)
    assert (response.status_code, reason(response)) == (404, "UNKNOWN_INSTRUMENT")
