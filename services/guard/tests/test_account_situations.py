"""Accounts and markets that differ from what is assumed: guard, real gateway, paper broker.

Accounts of other kinds, margin that is counted otherwise, and the end of the trading week.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from sep_fx.sessions import MarketCalendar
from sep_gateway.app import build as build_gateway
from sep_gateway.settings import GatewaySettings
from sep_guard.adapters.gateway import GatewayBroker
from sep_guard.application.account_view import AccountViewReader
from sep_guard.application.reconcile import Done
from sep_guard.application.watermark import Watermark
from sep_kit.errors import StaleViewError
from sep_kit.grpc.client import open_channel
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys
from sep_kit.store.connection import Valkey
from sep_paper_broker.account.trades import Trade
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.orders.requests import ClientExtensions, MarketOrderRequest
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.clock import FakeClock
from sep_testing.eventually import eventually
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .harness import Feed, GuardHarness, full_log, kind_and_reasons, settings_of
from .test_broker_contract import is_ready

D = Decimal
EUR, JPY = "EUR_USD", "USD_JPY"
TOKEN = "a-secret-token"
NOON = "2026-03-04T15:00:00Z"
OWN = ClientExtensions(id="sep-held", tag="sep")


@dataclass(frozen=True)
class Stack:
    """A guard with its gateway and broker, all on a clock that stands still."""

    guard: GuardHarness
    broker: GatewayBroker
    paper: RunningBroker
    feed: Feed
    clock: FakeClock
    store: Valkey

    async def cycle(self, **weights: float) -> dict[str, Done]:
        """New inputs, then a cycle."""
        for instrument in (EUR, JPY):
            await self.feed.signal(instrument, stop=0.02 if instrument == EUR else 2.0)
        await self.feed.weights(held=False, **weights)
        return await self.guard.cycle()

    async def enter(self) -> Done:
        """Release the kill switch, and cycle until the first entry in EUR_USD."""
        await self.feed.kill_switch(False)
        await self.store.set(keys.MARGIN_GATE, "open")

        async def entered() -> list[Done]:
            done = (await self.cycle(EUR_USD=0.10))[EUR]
            return [done] if done.action.kind == "ENTRY" else []

        (first,) = await eventually(entered)
        return first

    def trades(self) -> list[Trade]:
        """Open trades at the broker, oldest first."""
        self.paper.broker.advance()
        return sorted(self.paper.broker.account.book.open_trades(), key=lambda t: int(t.id))

    def submit(self, instrument: str, units: int, mark: ClientExtensions | None = None) -> str:
        """An order straight at the broker; the id of its trade."""
        self.paper.broker.advance()
        order = MarketOrderRequest(
            instrument=instrument, units=D(units), client_extensions=mark,
            trade_client_extensions=mark,
        )  # fmt: skip
        fill = self.paper.broker.account.submit(order, self.clock.now_ns()).fill
        assert fill is not None
        self.paper.broker.commit()
        return fill.id

    def used(self) -> Decimal:
        """The broker's own margin in use."""
        self.paper.broker.advance()
        return self.paper.broker.account.valuation().margin_used

    def metric(self, name: str) -> float | None:
        """A metric of the guard for EUR_USD, or without labels; None where it has no series."""
        labels = {} if self.guard.registry.get_sample_value(name) is not None else {
            "instrument": EUR
        }  # fmt: skip
        return self.guard.registry.get_sample_value(name, labels)


@pytest.fixture
def open_stack(store: Valkey, shared_valkey: ValkeyServer) -> Any:
    """Opens a stack at a given time; ``faults`` are the broker's from the beginning."""

    @asynccontextmanager
    async def opened(
        at: str = NOON, *, paper: dict[str, Any] | None = None,
        faults: tuple[dict[str, Any], ...] = (), **changed: str,
    ) -> AsyncIterator[Stack]:  # fmt: skip
        clock = FakeClock(at)
        calendar = {"calendar": MarketCalendar.FX, **(paper or {})}
        settings = PaperSettings(token=TOKEN, poll_seconds=0.05, heartbeat_seconds=0.3, **calendar)
        common = {
            "VALKEY_URL": shared_valkey.url, "HOTBAND_PAIRS": f"{EUR},{JPY}",
            "MARKET_CALENDAR": "fx",
        }  # fmt: skip
        async with serve_paper_broker(settings, clock=clock.now_ns) as running:
            for fault in faults:
                running.faults.add(fault)
            gateway = load_settings(
                GatewaySettings,
                {
                    **common, "GRPC_LISTEN": "127.0.0.1:0", "OANDA_API_URL": running.url,
                    "OANDA_STREAM_URL": running.url, "OANDA_API_TOKEN": TOKEN,
                    "CANDLE_BACKFILL_DAYS": "0.02",
                },
            )  # fmt: skip
            feed = Feed(store, clock)
            await feed.kill_switch(True)
            async with running_service("gateway", gateway, build_gateway, clock) as address:
                channel = open_channel(address)
                broker = GatewayBroker(channel)
                await eventually(lambda: is_ready(broker))
                guard = GuardHarness(
                    store, clock, broker, settings_of(shared_valkey.url, **{**common, **changed})
                )
                yield Stack(guard, broker, running, feed, clock, store)
                await channel.close(None)

    return opened


async def test_margin_that_the_broker_counts_otherwise_sizes_the_next_entry(
    open_stack: Any,
) -> None:
    """The broker lists EUR_USD at half the rate that it charges."""
    half = {
        "kind": "odd_member", "path": "instruments", "instrument": EUR, "field": "marginRate",
        "text": "0.01",
    }  # fmt: skip
    async with open_stack(faults=(half,), PM_RAMP_STEP_PCT="0.10") as stack:
        first = await stack.enter()
        assert "MARGIN_MISMATCH" not in first.action.reasons
        for _ in range(8):
            done = (await stack.cycle(EUR_USD=0.10))[EUR]
            assert stack.used() <= D(10_000), done.action
            if done.action.kind == "ENTRY":
                assert "MARGIN_MISMATCH" in done.action.reasons, done.action
        # Sized by the list it would hold twice the margin that its weight allows.
        assert D(8_000) < stack.used()
        assert stack.metric("sep_margin_model_ratio") == pytest.approx(2, abs=0.01)


async def test_near_the_brokers_closeout_everything_managed_is_closed(open_stack: Any) -> None:
    async with open_stack() as stack:
        await stack.enter()
        hand = stack.submit(JPY, 1_500_000)
        account = stack.paper.broker.account
        figures = account.valuation()
        # Just under the closeout itself, at 1.
        rate = round(figures.nav * D("1.8") / figures.position_value, 4)
        assert account.configure(None, rate, stack.clock.now_ns()).reject is None
        assert D("0.85") < account.valuation().margin_closeout_percent < 1
        stack.paper.broker.commit()
        done = (await stack.cycle(EUR_USD=0.10))[EUR]
        assert kind_and_reasons(done) == ("REDUCTION", ("MARGIN_CLOSEOUT_NEAR",))
        assert [t.id for t in stack.trades()] == [hand]
        # And not bought again.
        assert (await stack.cycle(EUR_USD=0.10))[EUR].action.kind == "REFUSAL"


async def test_after_a_margin_closeout_the_instrument_is_locked_and_not_bought_back(
    open_stack: Any,
) -> None:
    async with open_stack() as stack:
        await stack.enter()
        await stack.cycle(EUR_USD=0.10)  # counts the ledger up to here
        stack.paper.faults.add({"kind": "margin_closeout", "times": 1})
        assert not stack.trades()
        done = (await stack.cycle(EUR_USD=0.10))[EUR]
        assert done.action.kind == "REFUSAL"
        assert "RISK_FOREIGN_CLOSE" in done.action.reasons
        assert not stack.trades()


@pytest.mark.parametrize(
    ("account", "kind"), [({"hedging": True}, "HEDGING"), ({"mt4_account": 7}, "MT4")]
)
async def test_an_account_of_an_unsupported_kind_takes_no_entry_and_lets_exits_pass(
    open_stack: Any, account: dict[str, Any], kind: str
) -> None:
    async with open_stack(paper=account) as stack:
        await stack.feed.kill_switch(False)

        async def refused() -> bool:
            done = (await stack.cycle(EUR_USD=0.10))[EUR]
            return "ACCOUNT_KIND" in done.action.reasons

        await eventually(refused)
        check = next(
            c for c in (await stack.guard.queries.check_entry(EUR)).checks
            if c.reason == "ACCOUNT_KIND"
        )  # fmt: skip
        assert check.observed == kind
        # A trade of the stack from before, where the account lets it keep its mark.
        held = stack.submit(EUR, 1000, OWN)
        done = (await stack.cycle())[EUR]
        if kind == "HEDGING":
            assert kind_and_reasons(done) == ("REDUCTION", ("WEIGHT_GONE",))
            assert not stack.trades()
        else:
            # Its mark is replaced by a ticket number: a trade of anyone's.
            assert done.action.kind == "MANUAL"
            assert [t.id for t in stack.trades()] == [held]


async def test_hand_trades_that_hedge_each_other_are_seen_and_left_alone(open_stack: Any) -> None:
    """They net to nothing, and are exposure all the same: PM_ADOPT_MANUAL takes neither."""
    async with open_stack(paper={"hedging": True}, PM_ADOPT_MANUAL="1") as stack:
        await stack.feed.kill_switch(False)
        hedge = [stack.submit(EUR, units) for units in (1000, -1000)]
        done = (await stack.cycle())[EUR]
        assert (done.action.kind, done.action.current) == ("MANUAL", D(2000)), done.action
        await stack.cycle(EUR_USD=0.10)
        check = next(
            c for c in (await stack.guard.queries.check_entry(EUR)).checks
            if c.reason == "MANUAL_POSITION"
        )  # fmt: skip
        assert not check.passed
        assert [t.id for t in stack.trades()] == hedge


async def test_where_fifo_bites_the_account_is_named_and_the_hand_trade_stays(
    open_stack: Any,
) -> None:
    async with open_stack() as stack:
        hand = stack.submit(EUR, 300)
        own = stack.submit(EUR, 1000, OWN)
        await stack.feed.kill_switch(False)
        stack.paper.faults.add({"kind": "fifo_violation"})
        done = (await stack.cycle())[EUR]
        assert kind_and_reasons(done) == ("REDUCTION", ("WEIGHT_GONE",))
        assert done.result is not None
        assert (done.result.outcome, done.result.reason) == ("CANCELLED", "FIFO_VIOLATION")
        assert [t.id for t in stack.trades()] == [hand, own]
        refused = (await stack.cycle(USD_JPY=0.05))[JPY].action
        assert "ACCOUNT_KIND" in refused.reasons
        observed = {c.reason: c.observed for c in refused.checks}
        assert observed["ACCOUNT_KIND"] == "FIFO"


@pytest.mark.parametrize(
    ("fault", "word"),
    [("fifo_violation", "FIFO_VIOLATION"), ("insufficient_margin", "INSUFFICIENT_MARGIN")],
)
async def test_entries_that_the_broker_refuses_lock_the_instrument_and_keep_its_words(
    open_stack: Any, fault: str, word: str
) -> None:
    async with open_stack(RISK_MAX_EQUAL_REJECTS="3") as stack:
        stack.paper.faults.add({"kind": fault, "instrument": EUR})
        refused = [await stack.enter(), *[(await stack.cycle(EUR_USD=0.10))[EUR] for _ in range(5)]]
        reasons = [done.result.reason for done in refused if done.result is not None]
        assert not stack.trades()
        assert 1 <= len(reasons) <= 3, reasons
        assert all(word in reason for reason in reasons), reasons
        orders = [r for r in await full_log(stack.store) if r["event"] == "order"]
        assert all(r["message"] or r["reason"] for r in orders)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_refusals_that_are_in_no_ledger_lock_the_instrument_too(
    open_stack: Any, status: int
) -> None:
    """As a token that may read and not trade is refused: with words, without a transaction."""
    async with open_stack(RISK_MAX_EQUAL_REJECTS="3") as stack:
        stack.paper.faults.add({"kind": "status", "status": status, "path": "orders$"})
        await stack.enter()
        for _ in range(4):
            done = (await stack.cycle(EUR_USD=0.10))[EUR]
        assert "RISK_REJECTS" in done.action.reasons, done.action
        orders = [r for r in await full_log(stack.store) if r["event"] == "order"]
        assert [(r["outcome"], r["reason"]) for r in orders] == [("REJECTED", f"HTTP_{status}")] * 3
        (words,) = {r["message"] for r in orders}
        assert words
        # The lock says them too: a status alone does not say what to do.
        locks = [r for r in await full_log(stack.store) if r.get("cause") == "rejects"]
        assert all(f"HTTP_{status} ({words})" in r["reason"] for r in locks), locks
        assert locks


async def test_a_transaction_that_an_answer_named_by_mistake_stops_no_cycle_for_good(
    open_stack: Any,
) -> None:
    async with open_stack() as stack:
        watermark = Watermark()
        reader = AccountViewReader(stack.broker, watermark, time.monotonic)
        newest = (await reader.read()).account.last_id
        watermark.note(900_000)
        # The ledger has time to say otherwise.
        with pytest.raises(StaleViewError):
            await reader.read()

        async def read_again() -> bool:
            with suppress(StaleViewError):
                return not (await reader.read()).behind
            return False

        await eventually(read_again)
        assert watermark.newest == newest


@pytest.mark.parametrize(
    ("at", "gating"),
    [
        # Fridays at 16:54 New York, in winter and in summer.
        ("2026-03-06T21:54:00Z", "0"),
        ("2026-06-12T20:54:00Z", "0"),
        ("2026-03-06T21:54:00Z", "1"),
        # Four minutes before Christmas Day in New York.
        ("2026-12-25T04:56:00Z", "0"),
    ],
)
async def test_positions_are_closed_before_the_fx_week_ends_whatever_session_gating_says(
    open_stack: Any, at: str, gating: str
) -> None:
    # Ten minutes before there is no reason to close: sessions don't gate, or are open.
    async with open_stack(
        at, SESSION_TRADING_ENABLED=gating, SESSION_EXIT_MINUTES="0" if gating == "0" else "5"
    ) as stack:
        stack.submit(EUR, 1000, OWN)
        if gating == "0":
            stack.clock.advance(-120)
            held = (await stack.cycle(EUR_USD=0.001))[EUR].action
            assert held.target, held
            stack.clock.advance(120)
        done = (await stack.cycle(EUR_USD=0.10))[EUR]
        assert kind_and_reasons(done) == ("REDUCTION", ("EXIT_BEFORE_WEEKEND",))
        assert not stack.trades()
        refused = (await stack.cycle(EUR_USD=0.10))[EUR].action
        assert "NEAR_CLOSE" in refused.reasons


@pytest.mark.parametrize("gating", ["0", "1"])
async def test_units_over_a_weekend_are_shown_and_closed_as_soon_as_the_broker_trades(
    open_stack: Any, gating: str
) -> None:
    """The broker's own flag says when: here it opens on a Saturday, the calendar does not."""
    async with open_stack(
        "2026-03-07T12:00:00Z", paper={"calendar": MarketCalendar.ALWAYS},
        SESSION_TRADING_ENABLED=gating,
    ) as stack:  # fmt: skip
        stack.submit(EUR, 1000, OWN)
        stack.paper.broker.halted = frozenset({EUR, JPY})
        await eventually(lambda: _untradeable(stack))
        for _ in range(2):
            done = (await stack.cycle(EUR_USD=0.10))[EUR]
            assert done.result is None, done
            assert stack.metric("sep_units_outside_session") == 1000
        stack.paper.broker.halted = frozenset()

        async def closed() -> bool:
            stack.clock.advance(5)
            done = (await stack.cycle(EUR_USD=0.10))[EUR]
            assert done.action.kind != "ENTRY"
            return not stack.trades()

        await eventually(closed)
        await stack.cycle(EUR_USD=0.10)
        assert stack.metric("sep_units_outside_session") is None


async def test_a_market_that_closes_early_takes_no_entry_and_closes_when_it_trades_again(
    open_stack: Any,
) -> None:
    """An early close that no calendar knows: the broker halts in the middle of a session."""
    async with open_stack() as stack:
        await stack.enter()
        stack.paper.broker.halted = frozenset({EUR, JPY})
        await eventually(lambda: _untradeable(stack))
        refused = (await stack.cycle(EUR_USD=0.10, USD_JPY=0.10))[JPY].action
        assert "NOT_TRADEABLE" in refused.reasons
        # Asked to close, the broker cancels; asked again in every cycle, it closes in the end.
        cancelled = (await stack.cycle())[EUR]
        assert cancelled.action.kind == "REDUCTION"
        assert cancelled.result is None or cancelled.result.reason == "MARKET_HALTED"
        assert stack.trades()
        stack.paper.broker.halted = frozenset()

        async def closed() -> bool:
            stack.clock.advance(5)
            await stack.cycle()
            return not stack.trades()

        await eventually(closed)


async def _untradeable(stack: Stack) -> bool:
    stack.clock.advance(5)  # a price has a time of its own
    return "NOT_TRADEABLE" in {
        c.reason for c in (await stack.guard.queries.check_entry(EUR)).checks if not c.passed
    }
