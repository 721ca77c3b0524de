"""A trading day on the paper broker, step by step: decisions, reasons, and the account.

Allocator, guard and gateway run as services over gRPC. The gateway and the manual trades reach the
broker over HTTP. The test writes what the evaluator writes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest
import sep_allocator.app
import sep_guard.app
from sep.allocator.v1 import allocator_pb2, allocator_pb2_grpc
from sep.guard.v1 import guard_pb2 as pb
from sep.guard.v1 import guard_pb2_grpc
from sep.ops.v1 import ops_pb2, ops_pb2_grpc
from sep_allocator.settings import AllocatorSettings
from sep_fx.instants import NS_PER_SECOND, parse_rfc3339
from sep_fx.sessions import MarketCalendar
from sep_gateway.app import build as build_gateway
from sep_gateway.settings import GatewaySettings
from sep_guard.cli import main as sep_guard_command
from sep_kit.errors import SepError
from sep_kit.grpc.client import open_channel
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.market.market import Market
from sep_paper_broker.market.ticks import Ticks
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.calls import call
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer
from structlog.testing import capture_logs

from .harness import Feed, log, settings_of

pytestmark = pytest.mark.timeout(600)

EUR, GBP, JPY = "EUR_USD", "GBP_USD", "USD_JPY"
PAIRS = (EUR, GBP, JPY)
# So far away that the prices of the day reach none of them.
STOPS = {EUR: 0.2, GBP: 0.2, JPY: 30.0}
MORNING, EVENING, NIGHT = (
    "2026-03-04T14:00:00Z",  # London and New York
    "2026-03-04T21:54:00Z",  # four minutes before the daily break
    "2026-03-04T21:59:30Z",  # in it
)
TOKEN = "a-secret-token"
D = Decimal


class DayClock:
    """Runs at real speed from the time it is set to."""

    def __init__(self, start: str) -> None:
        self.set(start)

    def now_ns(self) -> int:
        return time.time_ns() + self._ahead

    def set(self, text: str) -> None:
        self._ahead = parse_rfc3339(text) - time.time_ns()

    def advance(self, seconds: float) -> None:
        self._ahead += int(seconds * NS_PER_SECOND)


class WideMarket:
    """A market whose spread can be widened by ``points`` on each side."""

    def __init__(self, inner: Market) -> None:
        self._inner = inner
        self.points = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def hour(self, instrument: str, hour: int) -> Ticks:
        ticks = self._inner.hour(instrument, hour)
        return replace(ticks, bid=ticks.bid - self.points, ask=ticks.ask + self.points)


@dataclass
class Step:
    """New records of ``guard:decisions`` since the last step."""

    records: list[dict[str, Any]]

    def decisions(self, instrument: str) -> list[tuple[str, list[str]]]:
        return [
            (r["kind"], r["reasons"])
            for r in self.records
            if r["event"] == "decision" and r["instrument"] == instrument
        ]

    def outcomes(self, instrument: str) -> list[str]:
        return [
            r["outcome"]
            for r in self.records
            if r["event"] == "order" and r["instrument"] == instrument
        ]


class TradingDay:
    """The services, the broker and the test's access to them."""

    def __init__(
        self, store: Valkey, clock: DayClock, paper: RunningBroker, stubs: dict[str, Any],
        logs: list[Any], http: httpx.AsyncClient,
    ) -> None:  # fmt: skip
        self.store, self.clock, self.paper, self.logs = store, clock, paper, logs
        self.guard, self.allocator = stubs["guard"], stubs["allocator"]
        self.guard_ops, self.allocator_ops = stubs["guard_ops"], stubs["allocator_ops"]
        self.feed = Feed(store, clock)
        self.feed.price = self.mid
        self.http = http
        self.market = WideMarket(paper.broker.market)
        paper.broker.market = self.market
        self.records_read = 0

    # Actions of other parties.

    async def evaluate(
        self, *gates: str, signals: tuple[str, ...] = PAIRS, down: tuple[str, ...] = ()
    ) -> Step:
        """Write signals and a blob; returns after the cycle on the allocator's new weights."""
        for pair in PAIRS:
            if pair in signals:
                await self.feed.signal(pair, -1 if pair in down else 1, STOPS[pair])
            else:
                await self.feed.manifold(pair)
        ts = await self.feed.blob(**{p: int(p in gates) for p in PAIRS})

        async def followed() -> bool:
            new = (await log(self.store))[self.records_read :]
            return any(r.get("gates_ts") == ts for r in new)

        await eventually(followed)
        # A dry run waits until that cycle has ended.
        dry = pb.ReconcileRequest(dry_run=True)
        await call(self.guard.Reconcile, dry, peer="guard", deadline_s=30)
        return await self.step()

    def mid(self, instrument: str) -> float:
        """The broker's price now."""
        quote = self.paper.broker.quote(instrument)
        assert quote is not None
        return float((quote.bid + quote.ask) / 2)

    async def trade_manually(self, instrument: str, units: int) -> None:
        """Trade manually at the broker."""
        order = {"type": "MARKET", "instrument": instrument, "units": str(units)}
        response = await self.http.post(self.path("orders"), json={"order": order})
        assert response.status_code == 201, response.text
        assert "orderFillTransaction" in response.json(), response.text

    async def fault(self, **fault: Any) -> None:
        response = await self.http.post(f"{self.paper.admin_url}/admin/faults", json=fault)
        assert response.status_code == 201, response.text

    async def jump(self, to: str | float) -> None:
        """Move the clock. Leases expire and the link looks old until both are renewed."""
        if isinstance(to, str):
            self.clock.set(to)
        else:
            self.clock.advance(to)
        services = (self.guard_ops, self.allocator_ops)
        renewals = [await ticks(ops, "lease") for ops in services]

        async def renewed_all() -> bool:
            # The first renewal may have begun before the jump.
            now = [await ticks(ops, "lease") for ops in services]
            renewed = all(n > before + 1 for n, before in zip(now, renewals, strict=True))
            return renewed and not {"BROKER_LINK", "PRICE_STALE"} & await self.reasons(EUR)

        await eventually(renewed_all)

    # Observations.

    async def reasons(self, instrument: str) -> set[str]:
        request = pb.CheckEntryRequest(instrument=instrument)
        return set((await call(self.guard.CheckEntry, request, peer="guard")).readiness.reasons)

    async def step(self) -> Step:
        """New records of guard:decisions; each decision is logged with the same reasons."""
        records = await log(self.store)
        new, self.records_read = records[self.records_read :], len(records)
        for record in new:
            if record["event"] == "decision":
                assert any(
                    x["event"] == record["kind"].lower()
                    and x.get("instrument") == record["instrument"]
                    and x.get("reasons") == record["reasons"]
                    for x in self.logs
                ), record
            if record["event"] == "order":
                assert any(x.get("client_order_id") == record["client_order_id"] for x in self.logs)
        return Step(new)

    async def reconcile(self) -> tuple[Step, dict[str, Any]]:
        """Run a cycle by the API; its response agrees with the records."""

        async def done() -> Any:
            try:
                return await call(
                    self.guard.Reconcile, pb.ReconcileRequest(), peer="guard", deadline_s=30
                )
            except SepError as error:
                if error.reason not in {"NOT_THE_WRITER", "PEER_UNAVAILABLE"}:
                    raise
                return None

        response = await eventually(done)
        step = await self.step()
        actions = {a.instrument: a for a in response.actions}
        for record in step.records:
            if record["event"] == "decision" and record["id"].startswith(response.cycle_id):
                action = actions[record["instrument"]]
                assert pb.ActionKind.Name(action.kind) == f"ACTION_KIND_{record['kind']}"
                assert list(action.reasons)[: len(record["reasons"])] == record["reasons"]
                assert action.decision_id == record["id"]
        return step, actions

    async def held(self) -> dict[str, int]:
        """Net units by instrument at the broker."""
        response = await self.http.get(self.path("openPositions"))
        return {
            p["instrument"]: int(p["long"]["units"]) + int(p["short"]["units"])
            for p in response.json()["positions"]
        }

    async def account(self) -> dict[str, D]:
        found = (await self.http.get(self.path("summary"))).json()["account"]
        names = ("balance", "NAV", "marginUsed", "marginAvailable")
        return {n: D(found[n]) for n in names}

    async def margin(self, instrument: str, units: int) -> D:
        """Margin of a position at the broker."""
        found = (await self.http.get(self.path(f"positions/{instrument}"))).json()["position"]
        assert units
        return D(found["marginUsed"])

    def path(self, resource: str) -> str:
        return f"{self.paper.url}/v3/accounts/{self.paper.settings.account}/{resource}"

    def fills(self) -> list[tuple[str, int]]:
        """Client order ids and units of this stack's fills in the broker's ledger."""
        ledger: list[Any] = list(self.paper.broker.account.book.ledger.transactions)
        return [
            (t.body.client_order_id, int(t.body.units))
            for t in ledger
            if t.body.type == "ORDER_FILL" and t.body.client_order_id
        ]

    def closes_by_trade(self) -> Counter[tuple[str, int]]:
        """Instruments and units of fills without a client order id, but for GBP_USD."""
        ledger: list[Any] = list(self.paper.broker.account.book.ledger.transactions)
        return Counter(
            (t.body.instrument, int(t.body.units))
            for t in ledger
            if t.body.type == "ORDER_FILL"
            and not t.body.client_order_id
            and t.body.instrument != GBP
        )


@pytest.fixture
def captured() -> Iterator[list[Any]]:
    with capture_logs() as logs:
        yield logs


@pytest.fixture
async def day(
    store: Valkey, shared_valkey: ValkeyServer, captured: list[Any]
) -> AsyncIterator[TradingDay]:
    clock = DayClock(MORNING)
    paper_settings = PaperSettings(
        admin=True, token=TOKEN, calendar=MarketCalendar.FX, poll_seconds=0.05, admin_port=0
    )
    common = {
        "GRPC_LISTEN": "127.0.0.1:0", "VALKEY_URL": shared_valkey.url,
        "HOTBAND_PAIRS": ",".join(PAIRS), "MARKET_CALENDAR": "fx",
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        paper = await stack.enter_async_context(
            serve_paper_broker(paper_settings, clock=clock.now_ns)
        )
        gateway_settings = load_settings(
            GatewaySettings,
            {
                **common, "OANDA_API_URL": paper.url, "OANDA_STREAM_URL": paper.url,
                "OANDA_API_TOKEN": TOKEN, "OANDA_TIMEOUT_SEC": "5", "CANDLE_BACKFILL_DAYS": "0.02",
            },
        )  # fmt: skip
        gateway = await stack.enter_async_context(
            running_service("gateway", gateway_settings, build_gateway, clock)
        )
        # Both act on demand only, so that each step has its own cycle.
        guard_settings = settings_of(
            shared_valkey.url,
            **{**common, "GATEWAY_ADDR": gateway, "PM_RECONCILE_SEC": "3600",
               "PM_RAMP_STEP_PCT": "0.10"},
        )  # fmt: skip
        allocator_settings = load_settings(
            AllocatorSettings, {**common, "ALLOC_INTERVAL_SEC": "3600"}
        )
        await eventually(lambda: store.exists(keys.BROKER_LINK))
        guard = await stack.enter_async_context(
            running_service("guard", guard_settings, sep_guard.app.build, clock)
        )
        allocator = await stack.enter_async_context(
            running_service("allocator", allocator_settings, sep_allocator.app.build, clock)
        )
        channels = {}
        for name, address in (("guard", guard), ("allocator", allocator)):
            channels[name] = open_channel(address)
            stack.push_async_callback(channels[name].close, None)
        http = await stack.enter_async_context(
            httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        )
        stubs = {
            "guard": guard_pb2_grpc.GuardServiceStub(channels["guard"]),
            "guard_ops": ops_pb2_grpc.OpsServiceStub(channels["guard"]),
            "allocator_ops": ops_pb2_grpc.OpsServiceStub(channels["allocator"]),
            "allocator": allocator_pb2_grpc.AllocatorServiceStub(channels["allocator"]),
        }
        await eventually(lambda: store.exists(keys.ALLOC_BUDGET))
        for channel in (keys.GATES_CHANNEL, keys.WEIGHTS_CHANNEL):
            await eventually(partial(has_subscriber, store, channel))
        yield TradingDay(store, clock, paper, stubs, captured, http)


async def has_subscriber(store: Valkey, channel: str) -> bool:
    """Whether the channel has a subscriber."""
    ((_, listeners),) = await reply(store.pubsub_numsub(channel))
    return bool(listeners)


async def test_a_day_from_the_open_to_the_close(
    day: TradingDay, shared_valkey: ValkeyServer, capsys: Any
) -> None:
    # --- Open. The kill switch is still engaged: every entry is refused.
    step = await day.evaluate(EUR, JPY)
    for pair in (EUR, JPY):
        assert step.decisions(pair) == [("REFUSAL", ["KILL_SWITCH"])]
    status = await call(
        day.allocator.GetAllocationStatus,
        allocator_pb2.GetAllocationStatusRequest(),
        peer="allocator",
    )
    assert dict(status.weights) == pytest.approx({EUR: 0.1, JPY: 0.1})
    assert await day.held() == {}
    await switch(day, engaged=False, reason="trading begins")

    # --- Ramp. A tenth of the budget per cycle, until both reach their weights.
    before = await day.account()
    step, actions = await day.reconcile()
    for pair in (EUR, JPY):
        assert step.decisions(pair) == [("ENTRY", ["DIRECTION", "RAMP_LIMITED"])]
        assert step.outcomes(pair) == ["FILLED"]
    assert actions[GBP].reasons == ["NO_WEIGHT"]
    assert await day.held() == {p: int(actions[p].ordered_units) for p in (EUR, JPY)}
    targets = {p: int(actions[p].target_units) for p in (EUR, JPY)}
    used = (await day.account())["marginUsed"]
    # The plan is within the budget at its prices; the broker's figure moves with the market.
    assert D("0.9") < used / (D("0.3") * before["balance"] * D("0.1") * 2) < D("1.01")

    # --- One response is lost. The order is looked up, not sent again.
    await day.fault(kind="reset_after", method="POST", path="orders$", times=1)
    step, actions = await day.reconcile()
    assert sorted([*step.outcomes(EUR), *step.outcomes(JPY)]) == ["FILLED", "UNKNOWN"]
    lost = EUR if step.outcomes(EUR) == ["UNKNOWN"] else JPY
    assert "ORDER_UNKNOWN" in await day.reasons(lost)
    step, _ = await day.reconcile()
    assert step.outcomes(lost)[0] == "FILLED"
    for _ in range(3):
        step, actions = await day.reconcile()
        for pair in (EUR, JPY):
            assert {k for k, _ in step.decisions(pair)} <= {"ENTRY"}
            assert abs(int(actions[pair].target_units) - targets[pair]) < 0.01 * targets[pair]
    assert [a.reasons for a in (actions[EUR], actions[JPY])] == [["WITHIN_BAND"]] * 2
    held = await day.held()
    assert all(0.9 * targets[p] <= held[p] <= 1.01 * targets[p] for p in (EUR, JPY))
    account = await day.account()
    for pair in (EUR, JPY):
        assert await day.margin(pair, held[pair]) <= D("0.101") * account["marginAvailable"]

    # --- Gate closed. The weight is gone, and the position is closed.
    step = await day.evaluate(JPY)
    assert step.decisions(EUR) == [("REDUCTION", ["WEIGHT_GONE"])]
    # Trade by trade: every step of the ramp opened one.
    assert set(step.outcomes(EUR)) == {"FILLED"}
    assert (await day.held()).keys() == {JPY}

    # --- Margin rise by a large manual trade. It takes all of the budget and is not ours to close,
    # so the managed position is closed, and none is opened.
    await day.trade_manually(GBP, 480_000)
    step = await day.evaluate(EUR, JPY)
    assert step.decisions(EUR) == [("REFUSAL", ["MARGIN_GATE"])]
    assert step.decisions(JPY) == [("REDUCTION", ["MARGIN_OVER_CEILING"])]
    now = await day.held()
    assert JPY not in now
    assert now[GBP] == 480_000
    # Between low and high the margin gate stays closed; below low it opens.
    await day.trade_manually(GBP, -20_000)
    step, _ = await day.reconcile()
    assert step.decisions(EUR) == [("REFUSAL", ["MARGIN_GATE"])]
    account = await day.account()
    used = account["marginUsed"] / (account["marginUsed"] + account["marginAvailable"])
    assert D("0.25") < used < D("0.30")
    await day.trade_manually(GBP, -280_000)
    step, actions = await day.reconcile()
    assert step.decisions(EUR) == [("ENTRY", ["DIRECTION", "RAMP_LIMITED"])]
    assert actions[GBP].kind == pb.ACTION_KIND_MANUAL

    # --- Spread spike. Positions are held; nothing is added.
    held = await day.held()
    day.market.points = 40
    await eventually(lambda: spread_is_wide(day))
    step, actions = await day.reconcile()
    assert step.decisions(EUR) == [("REFUSAL", ["SPREAD_WIDE"])]
    assert await day.held() == held
    day.market.points = 0

    # --- Stale signal: no new signals, while the blob is still written.
    await day.jump(301)
    step = await day.evaluate(EUR, JPY, signals=())
    assert step.decisions(EUR) == [("REFUSAL", ["SIGNAL_STALE"])]
    assert await day.held() == held

    # --- Kill switch: no entry within a second; exits and the drain go on.
    await switch(day, engaged=True, reason="news")
    assert "KILL_SWITCH" in await day.reasons(EUR)
    step = await day.evaluate(EUR, JPY, down=(JPY,))
    assert step.decisions(EUR) == [("REFUSAL", ["KILL_SWITCH"])]
    assert step.decisions(JPY) == [("REDUCTION", ["REVERSAL"])]
    assert (await day.held()).keys() == {EUR, GBP}
    plan = await call(day.guard.PlanDrain, pb.PlanDrainRequest(), peer="guard")
    assert [(c.instrument, c.reason) for c in plan.closes] == [(GBP, "OVER_INSTRUMENT_CAP")]
    assert plan.kill_switch
    drained = await call(
        day.guard.ExecuteDrain, pb.ExecuteDrainRequest(drain_id=plan.drain_id), peer="guard"
    )
    assert [(c.instrument, c.order_state) for c in drained.closes] == [(GBP, "FILLED")]
    step = await day.step()
    assert [r["event"] for r in step.records] == ["drain", "order"]
    assert 0 < (await day.held())[GBP] < 180_000
    assert (await day.held())[EUR] == held[EUR]
    await switch(day, engaged=False, reason="news is out")
    step = await day.evaluate(EUR, JPY, down=(JPY,))
    assert step.decisions(JPY) == [("ENTRY", ["DIRECTION", "RAMP_LIMITED"])]
    assert (await day.held())[JPY] < 0

    # --- Session close. Managed positions are closed in the last minutes; manual ones stay.
    left = (await day.held())[GBP]
    await day.jump(EVENING)
    for pair in PAIRS:
        await day.feed.signal(pair, stop=STOPS[pair])
    step, actions = await day.reconcile()
    for pair in (EUR, JPY):
        assert step.decisions(pair) == [("REDUCTION", ["EXIT_BEFORE_CLOSE"])]
    assert await day.held() == {GBP: left}
    assert "NEAR_CLOSE" in await day.reasons(EUR)
    day.clock.set(NIGHT)
    assert "SESSION_CLOSED" in await day.reasons(EUR)

    # --- Records. They equal the broker's fills, and each decision can be reproduced.
    records = await log(day.store)
    orders = {r["client_order_id"]: r for r in records if r["event"] == "order"}
    filled = {(i, int(r["filled_units"])) for i, r in orders.items() if r["outcome"] == "FILLED"}
    assert set(day.fills()) <= filled
    # A close by trade id leaves no client order id at the broker. Only GBP_USD is traded by hand.
    at_broker = {order_id for order_id, _ in day.fills()}
    closes = Counter(
        (r["instrument"], int(r["filled_units"]))
        for i, r in orders.items()
        if r["outcome"] == "FILLED" and i not in at_broker and r["instrument"] != GBP
    )
    assert closes == day.closes_by_trade()
    assert len(day.fills()) == len({i for i, _ in day.fills()})
    assert not await reply(day.store.exists(keys.OPEN_ORDERS))
    for decision in [r["id"] for r in records if r["event"] in ("decision", "drain")]:
        command = ["explain", decision, "--valkey-url", shared_valkey.url]
        assert await asyncio.to_thread(sep_guard_command, command) == 0, decision
    capsys.readouterr()


async def ticks(ops: Any, loop: str) -> float:
    """Number of finished ticks of a service's loop."""
    scraped = await call(ops.ScrapeMetrics, ops_pb2.ScrapeMetricsRequest(), peer="ops")
    name = f'sep_loop_duration_seconds_count{{loop="{loop}"}} '
    lines = [x for x in scraped.exposition.splitlines() if x.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0.0


async def switch(day: TradingDay, *, engaged: bool, reason: str) -> None:
    request = pb.SetKillSwitchRequest(kill_switch=engaged, reason=reason, actor="ann")
    await call(day.guard.SetKillSwitch, request, peer="guard")


async def spread_is_wide(day: TradingDay) -> bool:
    return await day.reasons(EUR) == {"SPREAD_WIDE"}
