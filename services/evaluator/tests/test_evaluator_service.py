"""The evaluator as a whole service: candles in; signals, gates, manifolds and responses out."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from sep.evaluator.v1 import evaluator_pb2 as pb
from sep_fx.bars import Bars
from sep_kit.errors import SepError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, open_valkey, reply
from sep_kit.store.lease import Lease
from sep_testing.calls import call
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from .candles import random_walk, shifted
from .harness import (
    PERMISSIVE_PARAMS,
    FakeGateway,
    running,
    serve_gateway,
    settings_of,
    store_bars,
    stored_blob,
    stored_memory,
)
from .test_evaluator_crashes import Process

PAIR = "EUR_USD"


async def machine_s(store: Valkey) -> int:
    return int((await reply(store.time()))[0])


async def candles_until_now(store: Valkey, count: int = 400, seed: int = 3) -> Bars:
    """Candles whose last bar has just ended."""
    bars = random_walk(seed, count, step=2e-4, spread=2e-5, gap=0.0, wild=0.0)
    end = await machine_s(store) // 60 * 60
    return shifted(bars, end - 60 - int(bars.time[-1]))


async def invoke(method: Any, request: Any) -> Any:
    return await call(method, request, peer="evaluator")


async def refusal(method: Any, request: Any) -> str:
    with pytest.raises(SepError) as failure:
        await invoke(method, request)
    return f"{failure.value.code.name} {failure.value.reason}"


async def test_first_candles_become_signals_and_one_blob(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    bars = await candles_until_now(store)
    settings = settings_of(shared_valkey.url, HOTBAND_PAIRS="EUR_USD,USD_JPY")
    # Until it has the lease, it writes no gates: it needs no candles for them.
    lease = keys.lease("evaluator")
    await reply(store.hset(lease, mapping={"holder": "elsewhere", "token": "1"}))
    await reply(store.expire(lease, 3600))
    async with running(settings) as service:
        assert await refusal(service.stub.ListGates, pb.ListGatesRequest()) == (
            "UNAVAILABLE NO_GATES"
        )
        await reply(store.delete(lease))
        await store_bars(store, PAIR, bars)
        index = keys.signal_index(PAIR)
        await eventually(lambda: store.zcard(index))
        (last, score) = (await reply(store.zrange(index, -1, -1, withscores=True)))[0]
        ts_ns = int(bars.time[-1]) * 10**9
        assert (last.decode(), score) == (keys.signal(PAIR, ts_ns), ts_ns / 1e6)
        signal = json.loads(await reply(store.get(last)))
        assert signal["ts_ns"] == ts_ns
        assert signal["price"] == pytest.approx(float(bars.mid[-1]), abs=1e-5)
        assert signal["metrics"].keys() == {"coherence", "stability", "entropy", "rupture"}
        assert signal["coeffs"].keys() == {"sigma_eff", "lambda"}
        assert 0 < await reply(store.pttl(last)) <= 3 * 86_400_000

        async def published() -> dict[str, Any] | None:
            found = await stored_blob(store)
            return found if found and "NO_DATA" not in found["reasons"][PAIR] else None

        found = await eventually(published)
        assert found.keys() == {"ts", "gates", "cooldowns", "bufs", "reasons", "params"}
        assert abs(found["ts"] / 1000 - await machine_s(store)) < 60
        assert found["gates"] == {PAIR: 0, "USD_JPY": 0}
        assert found["cooldowns"] == {PAIR: 0, "USD_JPY": 0}
        assert found["bufs"] == {PAIR: 0.1, "USD_JPY": 0.1}
        assert found["reasons"]["USD_JPY"] == ["PASSES_PENDING", "NO_DATA"]
        summary = json.loads(await reply(store.get(keys.backtest_summary(PAIR))))
        assert summary.keys() >= {
            "ts", "params", "summary", "gates", "eligible", "reasons", "spans",
        }  # fmt: skip
        assert summary["gates"].keys() == {"min_trades", "calmar", "pnl"}
        assert set(summary["spans"]) == {"14", "30", "60", "90"}


async def test_a_new_candle_becomes_a_signal_before_the_next_evaluation(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    bars = await candles_until_now(store)
    await store_bars(store, PAIR, bars.slice(0, 399))
    async with running(settings_of(shared_valkey.url, EVAL_INTERVAL_SEC="60")):
        await eventually(lambda: store.zcard(keys.signal_index(PAIR)))
        await store_bars(store, PAIR, bars.slice(399, 400))
        last = keys.signal(PAIR, int(bars.time[-1]) * 10**9)
        await eventually(lambda: store.exists(last), within_s=90)


async def test_every_reader_sees_whole_blobs_with_one_time(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    """Blob, summaries and memory are one transaction, so no reader sees part of it."""
    pairs = ("EUR_USD", "USD_JPY", "GBP_USD")
    for seed, pair in enumerate(pairs):
        await store_bars(store, pair, await candles_until_now(store, 300, seed))
    settings = settings_of(
        shared_valkey.url, HOTBAND_PAIRS=",".join(pairs), EVAL_INTERVAL_SEC="0.02"
    )
    seen: set[int] = set()
    async with running(settings):

        async def look() -> bool:
            names = [keys.GATES_BLOB, *(keys.backtest_summary(p) for p in pairs)]
            found = [json.loads(raw) for raw in await reply(store.mget(names)) if raw]
            assert len({d["ts"] for d in found}) <= 1
            seen.update(d["ts"] for d in found)
            return len(seen) > 30

        await eventually(look, every_s=0.001)


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[FakeGateway, str]]:
    gateway = FakeGateway()  # type: ignore[abstract]  # the other methods are not called
    async with serve_gateway(gateway) as address:
        yield gateway, address


async def test_the_live_manifold_has_the_time_of_its_price(
    store: Valkey, shared_valkey: ValkeyServer, gateway: tuple[FakeGateway, str]
) -> None:
    prices, address = gateway
    await store_bars(store, PAIR, await candles_until_now(store))
    made = await machine_s(store) * 1000 - 7_000
    prices.quote(PAIR, made, "1.30000", "1.30010")
    prices.quote("USD_JPY", made, "1.3", "1.4", tradeable=False)
    settings = settings_of(shared_valkey.url, GATEWAY_ADDR=address, HOTBAND_PAIRS="EUR_USD,USD_JPY")
    async with running(settings) as service, AsyncExitStack() as stack:
        key = keys.manifold(PAIR)
        await eventually(lambda: store.exists(key))
        raw = json.loads(await reply(store.get(key)))
        assert raw.keys() == {"instrument", "ts_ms", "price", "metrics", "coeffs"}
        assert (raw["ts_ms"], raw["price"]) == (made, "1.30005")
        assert 0 < await reply(store.ttl(key)) <= 300
        # Writing the same price again does not make it younger.
        channel = await stack.enter_async_context(store.pubsub())
        await channel.subscribe(keys.MANIFOLD_CHANNEL)
        for _ in range(3):
            message = await eventually(
                lambda: channel.get_message(ignore_subscribe_messages=True, timeout=1)
            )
            assert json.loads(message["data"])["ts_ms"] == made
        (status,) = (
            await invoke(
                service.stub.GetCoherenceStatus, pb.GetCoherenceStatusRequest(instrument=PAIR)
            )
        ).statuses
        assert status.manifold_age_seconds >= 7
        assert not await reply(store.exists(keys.manifold("USD_JPY")))


async def test_a_stream_begins_with_the_last_manifold_and_ends_in_band_when_valkey_dies(
    valkey: ValkeyServer, gateway: tuple[FakeGateway, str]
) -> None:
    prices, address = gateway
    async with open_valkey(valkey.url) as own:
        await store_bars(own, PAIR, await candles_until_now(own))
        prices.quote(PAIR, 1_000, "1.30000", "1.30010")
        settings = settings_of(valkey.url, GATEWAY_ADDR=address)
        async with running(settings) as service:
            await eventually(lambda: own.exists(keys.manifold(PAIR)))
            stream = service.stub.StreamManifolds(pb.StreamManifoldsRequest(instrument=PAIR))
            events = aiter(stream)
            first = (await anext(events)).manifold
            assert (first.instrument, first.ts_ms, first.price) == (PAIR, 1_000, "1.30005")
            prices.quote(PAIR, 2_000, "1.30010", "1.30020")

            async def newest() -> bool:
                return bool((await anext(events)).manifold.ts_ms == 2_000)

            await eventually(newest)
            await asyncio.to_thread(valkey.kill)
            async with asyncio.timeout(30):
                async for event in events:
                    last = event
            assert last.error.reason == "STORE_UNAVAILABLE"
            # It recovers without a restart once Valkey is back.
            await asyncio.to_thread(valkey.start)

            async def streams_again() -> bool:
                try:
                    async for event in service.stub.StreamManifolds(pb.StreamManifoldsRequest()):
                        return bool(event.manifold.instrument == PAIR)
                except Exception:  # noqa: BLE001 - not yet
                    return False
                return False

            await eventually(streams_again, within_s=90)


async def test_a_stream_ends_in_band_when_valkey_freezes(valkey: ValkeyServer) -> None:
    """A frozen server closes no connection and sends nothing, so it has to be pinged."""
    async with open_valkey(valkey.url) as own, running(settings_of(valkey.url)) as service:
        await eventually(lambda: own.exists(keys.GATES_BLOB))
        events = aiter(service.stub.StreamManifolds(pb.StreamManifoldsRequest()))
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.wait({waiting}, timeout=0.3)
        valkey.freeze()
        try:
            async with asyncio.timeout(40):
                event = await waiting
                while not event.HasField("error"):
                    event = await anext(events)
        finally:
            valkey.thaw()
        assert event.error.reason == "STORE_UNAVAILABLE"


async def test_every_method_returns_what_is_stored(
    store: Valkey, shared_valkey: ValkeyServer, gateway: tuple[FakeGateway, str]
) -> None:
    prices, address = gateway
    bars = await candles_until_now(store)
    await store_bars(store, PAIR, bars)
    prices.quote(PAIR, await machine_s(store) * 1000, "1.3", "1.4")
    settings = settings_of(
        shared_valkey.url,
        GATEWAY_ADDR=address,
        HOTBAND_PAIRS="USD_JPY,EUR_USD",
        EVAL_INTERVAL_SEC="60",
    )
    async with running(settings) as service:
        stub = service.stub
        for key in (keys.manifold(PAIR), keys.signal_index(PAIR), keys.GATES_BLOB):
            await eventually(partial(store.exists, key))
        pairs = (await invoke(stub.ListPairs, pb.ListPairsRequest())).pairs
        assert [(p.instrument, p.open) for p in pairs] == [(PAIR, True), ("USD_JPY", True)]
        assert not pairs[0].HasField("minutes_to_close")

        coeffs = await invoke(stub.GetManifoldCoeffs, pb.GetManifoldCoeffsRequest(instrument=PAIR))
        signal = json.loads(await reply(store.get(keys.signal(PAIR, int(bars.time[-1]) * 10**9))))
        assert coeffs.ts_ms == bars.time[-1] * 1000
        assert coeffs.sigma_eff == signal["coeffs"]["sigma_eff"]
        assert getattr(coeffs, "lambda") == signal["coeffs"]["lambda"]
        assert coeffs.metrics.coherence == signal["metrics"]["coherence"]
        assert float(coeffs.price) == signal["price"]
        assert not coeffs.history
        wanted = pb.GetManifoldCoeffsRequest(instrument=PAIR, history=1)
        history = (await invoke(stub.GetManifoldCoeffs, wanted)).history
        assert [(h.ts_ms, h.metrics) for h in history] == [(coeffs.ts_ms, coeffs.metrics)]

        both = (await invoke(stub.GetCoherenceStatus, pb.GetCoherenceStatusRequest())).statuses
        assert [s.instrument for s in both] == [PAIR, "USD_JPY"]
        assert both[0].fresh
        assert [c.name for c in both[0].checks] == [
            "coherence", "rupture", "entropy", "stability",
        ]  # fmt: skip
        assert both[0].passed == all(c.passed for c in both[0].checks)
        assert (both[1].passed, both[1].fresh, len(both[1].checks)) == (False, False, 0)
        assert not both[1].HasField("metrics")

        before = (await invoke(stub.ListGates, pb.ListGatesRequest())).ts_ms
        now = await invoke(stub.EvaluateNow, pb.EvaluateNowRequest())
        assert now.ts_ms > before
        listed = await invoke(stub.ListGates, pb.ListGatesRequest())
        assert listed.ts_ms == now.ts_ms
        assert [g.instrument for g in listed.gates] == [PAIR, "USD_JPY"]
        assert list(listed.gates) == list(now.gates)
        gate = listed.gates[0]
        assert (gate.eligible, gate.buf, gate.floors.min_trades) == (False, 0.1, 5)
        assert gate.reasons
        assert gate.evaluations_to_flip == 2
        assert not listed.gates[1].HasField("summary")


async def test_every_method_returns_the_documented_errors(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    unknown, bad = "NOT_FOUND UNKNOWN_INSTRUMENT", "INVALID_ARGUMENT INVALID_ARGUMENT"
    other = Lease(store, "evaluator", "other", FakeClock())
    await other.renew()
    async with running(settings_of(shared_valkey.url)) as service:
        stub = service.stub

        def coeffs(name: str) -> Any:
            return refusal(stub.GetManifoldCoeffs, pb.GetManifoldCoeffsRequest(instrument=name))

        assert await coeffs("XAU_USD") == unknown
        assert await coeffs("eur/usd") == bad
        assert await coeffs("") == bad
        too_many = pb.GetManifoldCoeffsRequest(instrument=PAIR, history=501)
        assert await refusal(stub.GetManifoldCoeffs, too_many) == bad
        assert await coeffs(PAIR) == "UNAVAILABLE NO_SIGNAL"
        await store.zadd(keys.signal_index(PAIR), {keys.signal(PAIR, 1): 1})
        await store.set(keys.signal(PAIR, 1), "{")
        assert await coeffs(PAIR) == "DATA_LOSS CORRUPT_RECORD"
        request = pb.GetCoherenceStatusRequest(instrument="XAU_USD")
        assert await refusal(stub.GetCoherenceStatus, request) == unknown
        (status,) = (
            await invoke(stub.GetCoherenceStatus, pb.GetCoherenceStatusRequest(instrument=PAIR))
        ).statuses
        assert not status.passed
        assert await refusal(stub.EvaluateNow, pb.EvaluateNowRequest()) == (
            "UNAVAILABLE NOT_THE_WRITER"
        )
        with pytest.raises(Exception, match="XAU_USD"):
            async for _ in stub.StreamManifolds(pb.StreamManifoldsRequest(instrument="XAU_USD")):
                pass


async def test_without_valkey_every_method_returns_store_unavailable(valkey: ValkeyServer) -> None:
    async with running(settings_of(valkey.url)) as service:
        async with open_valkey(valkey.url) as own:
            await eventually(lambda: own.exists(keys.GATES_BLOB))
        await asyncio.to_thread(valkey.kill)
        stub, unavailable = service.stub, "UNAVAILABLE STORE_UNAVAILABLE"
        calls: list[tuple[Callable[..., Any], Any]] = [
            (stub.GetManifoldCoeffs, pb.GetManifoldCoeffsRequest(instrument=PAIR)),
            (stub.GetCoherenceStatus, pb.GetCoherenceStatusRequest()),
            (stub.ListGates, pb.ListGatesRequest()),
            (stub.EvaluateNow, pb.EvaluateNowRequest()),
        ]
        for method, request in calls:
            assert await refusal(method, request) == unavailable, request
        await asyncio.to_thread(valkey.start)
        await eventually(lambda: evaluates_again(stub), within_s=90)


async def evaluates_again(stub: Any) -> bool:
    try:
        await invoke(stub.EvaluateNow, pb.EvaluateNowRequest())
    except SepError:
        return False
    return True


async def test_of_two_replicas_one_writes_and_the_other_takes_over_within_15_s(
    store: Valkey, shared_valkey: ValkeyServer
) -> None:
    """The first is killed with SIGKILL, so that its lease has to expire."""
    await store.set(keys.best_config(PAIR), PERMISSIVE_PARAMS)
    await store_bars(store, PAIR, await candles_until_now(store))
    first = Process(shared_valkey.url)
    await first.start()
    try:
        await eventually(lambda: store.exists(keys.GATES_BLOB), within_s=90)
        lease = keys.lease("evaluator")
        holder, token = await reply(store.hmget(lease, "holder", "token"))
        async with running(settings_of(shared_valkey.url)) as second:
            assert await refusal(second.stub.EvaluateNow, pb.EvaluateNowRequest()) == (
                "UNAVAILABLE NOT_THE_WRITER"
            )
            assert (await invoke(second.stub.ListGates, pb.ListGatesRequest())).gates
            assert not await second.metrics("sep_rolling_gate{")
            assert await reply(store.hget(lease, "holder")) == holder
            before = await stored_memory(store, PAIR)
            await first.kill()
            ts = (await stored_blob(store) or {})["ts"]

            async def published() -> bool:
                found = await stored_blob(store)
                return found is not None and found["ts"] > ts

            await eventually(published, within_s=90)
            assert int(await reply(store.hget(lease, "token"))) > int(token)
            assert await stored_memory(store, PAIR) == before
            await eventually(lambda: second.metrics("sep_rolling_gate{"))
    finally:
        await first.kill()
