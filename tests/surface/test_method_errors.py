"""Methods return every error that they document and no other, over REST and over gRPC.

The stack is brought into one situation after another, and every method of the contract is called in
each. A documented error that no situation provokes fails its test, and so does an undocumented one.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sep_contract import Method
from sep_kit.store import keys
from sep_kit.store.connection import open_valkey, reply
from sep_paper_broker.orders.requests import MarketOrderRequest
from sep_testing.eventually import eventually
from sep_testing.valkey import ValkeyServer

from tests.surface.methods import (
    CLOSE,
    METHODS,
    OK,
    ORDER,
    REQUESTS,
    STOP,
    TRADE,
    DocumentedError,
    Json,
    Outcome,
    method_errors,
)
from tests.surface.running_stack import SERVICES, RunningStack, running_stack

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(1500)]

Pair = tuple[Outcome, Outcome | None]
"""Of one method: its outcome over gRPC, and over REST if it has a route."""
Outcomes = dict[str, Pair]
"""By method."""
OutcomesBySituation = dict[str, Outcomes]

VIEW_STALE = Outcome("UNAVAILABLE", "VIEW_STALE")
RELEASE: Json = {"kill_switch": False, "reason": "a test"}
UNKNOWN_PAIR: Json = {"instrument": "XXX_YYY"}
UNKNOWN_INSTRUMENT: dict[str, Json] = {
    "GetManifoldCoeffs": UNKNOWN_PAIR,
    "GetCoherenceStatus": UNKNOWN_PAIR,
    "StreamManifolds": UNKNOWN_PAIR,
    "ListCandles": UNKNOWN_PAIR,
    "FetchCandles": {"instruments": ["XXX_YYY"]},
    "GetPricing": {"instruments": ["XXX_YYY"]},
    "CheckEntry": UNKNOWN_PAIR,
    "ListParameterChanges": UNKNOWN_PAIR,
    "PromoteParameters": {"wanted": [UNKNOWN_PAIR], "reason": "a test"},
    "SetLock": {**UNKNOWN_PAIR, "locked": True, "reason": "a test"},
    "PlaceMarketOrder": {**UNKNOWN_PAIR, "units": "1", "client_order_id": "surface-2"},
    "ClosePosition": {**CLOSE, **UNKNOWN_PAIR},
}
WANTED: Json = {"instrument": "EUR_USD", "values": {"c_min": 0.6}, "judged_to_promote": True}
# What it left in force are the defaults, so that it can be taken back.
CHANGE: Json = {
    "id": "surface", "ts_ms": 1, "actor": "a test", "reason": "a test",
    "changed": [{"instrument": "EUR_USD", "before": {"c_min": 0.6}, "after": {}}],
}  # fmt: skip
WITHOUT_CANDLES: dict[str, Json] = {"ListCandles": {"instrument": "GBP_USD"}}

# A machine that stalls for seconds may cost a call its deadline, or a service that of its peer.
LATE_REASONS = ("PEER_UNAVAILABLE", "UPSTREAM_UNAVAILABLE", "OVERLOADED")

DECISION = '{"event":"decision","id":"surface","ts":1,"instrument":"EUR_USD","kind":"ENTRY"}'
"""A record of ``guard:decisions`` that the journal takes in."""


def order(units: str, *, reduce_only: bool = False) -> dict[str, Json]:
    """An order with an id of its own; an engaged kill switch allows only ``reduce_only``."""
    request = {
        "instrument": "EUR_USD",
        "units": units,
        "client_order_id": f"surface-{units}",
        "reduce_only": reduce_only,
    }
    return {"PlaceMarketOrder": request}


def is_past_deadline(pair: Pair) -> bool:
    """Whether a call outlasted its deadline."""
    return any(o is not None and o.code == "DEADLINE_EXCEEDED" for o in pair)


async def call_all(
    stack: RunningStack,
    requests: dict[str, Json] | None = None,
    *,
    at_once: int = 8,
    late: Callable[[Pair], bool] = is_past_deadline,
) -> Outcomes:
    """Call every method; those last that change the situation of others.

    Args:
        late: which outcomes are those of a machine that stalls: such a call is made again, once.
        at_once: calls in progress. All parts share one process: with every method at once, calls
            outlast their deadlines. More where each waits for a timeout.
    """
    last = ("PromoteParameters", "Flatten", "SetKillSwitch", "EngageKillSwitch")
    names = [m.name for m in METHODS.values() if m.name not in last]
    turns = asyncio.Semaphore(at_once)

    async def outcome(name: str) -> Pair:
        body = (requests or {}).get(name)
        async with turns:
            pair = await stack.call(name, body)
            return await stack.call(name, body) if late(pair) else pair

    outcomes = await asyncio.gather(*map(outcome, names))
    return {
        **dict(zip(names, outcomes, strict=True)),
        **{name: await outcome(name) for name in last},
    }


async def in_time(stack: RunningStack, requests: dict[str, Json]) -> Outcomes:
    """The outcomes of a situation in which all parts run.

    A machine that stalls for seconds may cost a call its deadline, and calls that change the
    guard's state wait for each other: what was not in time is called again, one after the other.
    """
    late = {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    found = await call_all(stack, requests)
    for _ in range(4):
        for name, pair in found.items():
            if any(o and o.code in late for o in pair):
                found[name] = await stack.call(name, requests.get(name))
    return found


async def with_a_damaged_breaker(stack: RunningStack) -> Outcomes:
    """A release while the stored breaker can't be read.

    New weights begin a cycle, which writes the state that it read before: the damage is done again
    until a release meets it.
    """

    async def refused() -> Outcomes | None:
        await reply(stack.store.set(keys.RISK_BREAKER, "{"))
        outcomes = await call_some(stack, {"SetKillSwitch": RELEASE})
        return None if OK in outcomes["SetKillSwitch"] else outcomes

    return await eventually(refused, within_s=90) or {}


async def with_the_switch_released(stack: RunningStack) -> Outcomes:
    """Repeated: a cycle that has read the damaged breaker engages the switch again."""
    released = Outcome("FAILED_PRECONDITION", "KILL_SWITCH_RELEASED")

    async def refused() -> Outcomes | None:
        await stack.call("SetKillSwitch", {**RELEASE, "acknowledge_breaker": True})
        outcomes = await call_all(stack, late=is_late)
        return outcomes if set(outcomes["ExecuteDrain"]) <= {released, None} else None

    return await eventually(refused, within_s=90) or {}


def promotion(**changes: Any) -> Json:
    return {"wanted": [WANTED | changes], "reason": "a test"}


async def call_some(stack: RunningStack, requests: dict[str, Json]) -> Outcomes:
    """Call some methods, one after the other; late ones again, at most twice."""
    outcomes: Outcomes = {}
    for name, body in requests.items():
        for _ in range(3):
            outcomes[name] = await stack.call(name, body)
            if not is_late(outcomes[name]):
                break
    return outcomes


def is_late(pair: Pair) -> bool:
    """Whether a part that runs did not answer in time, as far as an outcome tells."""
    return any(
        o and (o.code == "DEADLINE_EXCEEDED" or o.reason in ("", *LATE_REASONS))
        for o in pair
        if o != OK
    )


async def until(stack: RunningStack, *names: str) -> None:
    """Wait until these methods succeed."""

    async def all_succeed() -> bool:
        return all([(await stack.call(name))[0] == OK for name in names])

    await eventually(all_succeed, within_s=240, every_s=0.2)


async def from_start_to_store_failure(folder: Path, valkey: ValkeyServer) -> OutcomesBySituation:
    """A stack without the lease, then in normal operation, then without its store."""
    seen: OutcomesBySituation = {}
    async with open_valkey(valkey.url) as store:
        for name in SERVICES:
            await reply(store.hset(keys.lease(name), mapping={"holder": "elsewhere", "token": "1"}))
            # One without an end would get ten seconds, which a slow start outlasts.
            await reply(store.expire(keys.lease(name), 3600))
        await reply(store.xadd(keys.PARAMETER_CHANGES, {"change": json.dumps(CHANGE)}))
    async with running_stack(folder, valkey) as stack:
        await until(stack, "GetBudget", "GetStatus")
        seen["another replica has the lease, and nothing is stored yet"] = await call_all(
            stack, late=is_late
        )
        seen["another replica has the lease, and the breaker is acknowledged"] = await call_some(
            stack,
            {
                "SetKillSwitch": {**RELEASE, "acknowledge_breaker": True},
                "RollBackParameters": REQUESTS["RollBackParameters"] | {"dry_run": False},
            },
        )
        await reply(stack.store.delete(*map(keys.lease, SERVICES)))
        await reply(stack.store.xadd(keys.GUARD_DECISIONS, {"decision": DECISION}))
        await until(
            stack, "GetHealth", "GetManifoldCoeffs", "ListGates", "ExecuteDrain", "GetDecision"
        )
        seen["normal operation"] = await in_time(stack, order("5", reduce_only=True))
        seen["the instrument is unknown"] = await in_time(stack, UNKNOWN_INSTRUMENT)
        seen["the instrument to close is unknown"] = await call_some(
            stack, {"Flatten": {**UNKNOWN_PAIR, "reason": "a test", "dry_run": True}}
        )
        seen["parameters without a verdict"] = await call_some(
            stack, {"PromoteParameters": promotion(judged_to_promote=False)}
        )
        seen["other parameters are in force"] = await call_some(
            stack, {"PromoteParameters": promotion(digest_before="0" * 16)}
        )
        await stack.call("PromoteParameters", promotion())
        seen["a later change is in force"] = await call_some(
            stack, {"RollBackParameters": REQUESTS["RollBackParameters"]}
        )
        seen["the change is unknown"] = await call_some(
            stack, {"RollBackParameters": {"change_id": "none", "reason": "a test"}}
        )
        seen["the decision is unknown"] = await call_some(stack, {"GetDecision": {"id": "none"}})
        seen["the order is too small"] = await call_some(stack, order("0.1"))
        seen["the order is too large"] = await call_some(stack, order("1000000001"))
        seen["the breaker is tripped"] = await with_a_damaged_breaker(stack)
        await reply(stack.store.delete(keys.RISK_BREAKER))
        seen["the kill switch is released"] = await with_the_switch_released(stack)
        seen |= await with_refused_orders(stack)
        seen["the guard's view is older than a fill"] = await with_a_stale_view(stack)
        seen["stored records are corrupt"] = await with_corruption(stack)
        valkey.freeze()
        seen["the store does not respond"] = await call_all(stack, at_once=64)
        valkey.kill()
        seen["the store is down"] = await call_all(stack)
        # An engage never fails because of the store, a release does.
        seen["a release while the store is down"] = await call_some(
            stack, {"SetKillSwitch": RELEASE}
        )
        damage(folder / "journal.db")
        names = ("ListLedger", "ListTrades", "GetPerformance", "ListCosts", "ListDivergence",
                 "ListDecisions", "StreamExport", "StreamEvents")  # fmt: skip
        seen["the journal's tables are gone"] = await call_some(
            stack, {name: REQUESTS.get(name, {}) for name in (*names, "GetDecision")}
        )
    return seen


def damage(database: Path) -> None:
    """Remove the journal's tables while it runs."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        for table in ("transactions", "trades", "decisions", "divergence_days", "progress"):
            connection.execute(f"DROP TABLE {table}")
        connection.commit()


async def with_refused_orders(stack: RunningStack) -> OutcomesBySituation:
    """Views that are too old, and orders that the gateway does not send."""
    seen: OutcomesBySituation = {}
    demanding: Json = {"min_transaction_id": "999999999"}
    views = dict.fromkeys(("GetAccount", "ListPositions", "ListOpenTrades"), demanding)
    # At the same time: after some seconds it is clear that the transaction does not exist.
    found = await asyncio.gather(*(call_some(stack, {name: views[name]}) for name in views))
    seen["a view is older than a transaction"] = {k: v for one in found for k, v in one.items()}
    await reply(stack.store.set(keys.ORDER_FENCE, "7"))
    old: dict[str, Json] = {"PlaceMarketOrder": ORDER, "ClosePosition": CLOSE}
    old |= {"CloseTrade": TRADE, "SetTradeStop": STOP}
    seen["another replica has ordered"] = await call_some(
        stack, {name: {**body, "fencing_token": 6} for name, body in old.items()}
    )
    aged = {**ORDER, "client_order_id": "surface-old", "decided_at_ms": 1000}
    seen["the entry is too old"] = await call_some(stack, {"PlaceMarketOrder": aged})
    hand = MarketOrderRequest(instrument="EUR_USD", units=Decimal(1))
    opened = stack.broker.broker.account.submit(hand, stack.broker.broker.advance()).fill
    assert opened is not None
    trade = {**STOP, "trade_id": str(max(map(int, stack.broker.broker.account.book.trades)))}
    seen["the trade was opened by hand"] = await call_some(stack, {"SetTradeStop": trade})
    seen["the account is of another kind"] = await with_another_kind_of_account(stack)
    return seen


async def with_a_stale_view(stack: RunningStack) -> Outcomes:
    """Repeated until each method has refused a view that lacks a fill, over gRPC and over REST.

    The guard gives up after some seconds of a stall with another error, and after a minute of an
    old view it goes on with exits.
    """

    async def refused() -> Outcomes | None:
        outcomes = await while_the_view_is_stale(stack)
        return (
            outcomes if all(set(pair) <= {VIEW_STALE, None} for pair in outcomes.values()) else None
        )

    return await eventually(refused, within_s=240) or {}


async def while_the_view_is_stale(stack: RunningStack) -> Outcomes:
    """Call what needs the account once the gateway has heard of a fill that the view lacks."""
    fault = stack.broker.faults.add({"kind": "stale_views", "seconds": 3600})
    hand = MarketOrderRequest(instrument="EUR_USD", units=Decimal(1))
    opened = stack.broker.broker.account.submit(hand, stack.broker.broker.advance()).fill
    assert opened is not None

    async def refused() -> bool:
        return VIEW_STALE in await stack.call("GetBudget")

    await eventually(refused, within_s=90)
    names = (
        "GetBudget", "GetReadiness", "GetRiskLimits", "CheckEntry",
        "Reconcile", "PlanDrain", "Flatten",
    )  # fmt: skip
    found = await asyncio.gather(
        *(call_some(stack, {name: REQUESTS.get(name, {})}) for name in names)
    )
    # A flatten engages the kill switch, which a drain needs.
    found.append(await call_some(stack, {"ExecuteDrain": REQUESTS.get("ExecuteDrain", {})}))
    stack.broker.faults.remove(fault.id)

    async def over() -> bool:
        return OK in await stack.call("GetBudget")

    await eventually(over, within_s=90)
    await stack.call("SetKillSwitch", RELEASE)
    return {name: pair for one in found for name, pair in one.items()}


async def with_another_kind_of_account(stack: RunningStack) -> Outcomes:
    """Repeated until the gateway has noticed, and again until it has noticed the end."""
    fault = stack.broker.faults.add({"kind": "guaranteed_stop_required"})
    kind = Outcome("FAILED_PRECONDITION", "ACCOUNT_KIND")
    numbers = count(100)

    async def placed() -> Outcomes:
        return await call_some(
            stack,
            {"PlaceMarketOrder": {**ORDER, "client_order_id": f"surface-{next(numbers)}"}},
        )

    async def refused() -> Outcomes | None:
        outcomes = await placed()
        return outcomes if kind in outcomes["PlaceMarketOrder"] else None

    outcomes = await eventually(refused, within_s=90, every_s=0.2) or {}
    stack.broker.faults.remove(fault.id)

    async def over() -> bool:
        return kind not in (await placed())["PlaceMarketOrder"]

    await eventually(over, within_s=90, every_s=0.2)
    return outcomes


async def with_corruption(stack: RunningStack) -> Outcomes:
    """Repeated, because the evaluator replaces corrupt records every few seconds."""
    await reply(stack.store.set(keys.order_claim("surface-1"), "{"))

    async def corrupted() -> Outcomes | None:
        (last,) = await reply(stack.store.zrange(keys.signal_index("EUR_USD"), -1, -1))
        await reply(stack.store.set(last, "{"))
        outcomes = await call_all(stack, late=is_late)
        return (
            outcomes
            if None not in outcomes["GetManifoldCoeffs"] and OK not in outcomes["GetManifoldCoeffs"]
            else None
        )

    return await eventually(corrupted, within_s=90) or {}


async def without_broker_and_gateway(folder: Path, valkey: ValkeyServer) -> OutcomesBySituation:
    """A stack whose broker stops, then its gateway."""
    seen: OutcomesBySituation = {}
    async with running_stack(folder, valkey) as stack:
        await until(stack, "GetHealth", "GetBudget", "ExecuteDrain")
        await stack.stop("broker")
        seen["the broker is down"] = await call_all(stack)
        await stack.call("SetKillSwitch", {"kill_switch": False, "reason": "a test"})
        seen["the broker is known to be down"] = await with_broker_known_to_be_down(stack)
        await stack.call("SetKillSwitch")
        await stack.stop("gateway")
        seen["the gateway is down"] = await call_all(stack)
    return seen


async def with_broker_known_to_be_down(stack: RunningStack) -> Outcomes:
    """Repeated until every order is refused: the first ones may meet breaking connections."""
    numbers = count(10)
    down = Outcome("UNAVAILABLE", "BROKER_UNAVAILABLE")

    async def refused() -> Outcomes | None:
        number = next(numbers)
        close = {**CLOSE, "client_order_id": f"surface-close-{number}"}
        outcomes = await call_some(
            stack, {**order(str(number)), "ClosePosition": close, "CloseTrade": TRADE}
        )
        known = all(down in pair for pair in outcomes.values())
        return outcomes if known else None

    return await eventually(refused, within_s=90) or {}


async def read_only(folder: Path, valkey: ValkeyServer) -> OutcomesBySituation:
    async with running_stack(folder, valkey, READ_ONLY="1") as stack:
        await until(stack, "GetBudget", "Reconcile")
        return {"the stack is read-only": await call_all(stack, late=is_late)}


async def live_and_unreachable(folder: Path, valkey: ValkeyServer) -> OutcomesBySituation:
    """A live account without LIVE_TRADING_ENABLED, and a broker that was never reached."""
    nowhere = "https://127.0.0.1:1"
    changed = {
        "OANDA_ENVIRONMENT": "live",
        "OANDA_ACCOUNT_ID": "001-001-0000001-001",
        "OANDA_API_URL": nowhere,
        "OANDA_STREAM_URL": nowhere,
        # Settings that only paper allows.
        "MARKET_CALENDAR": "fx",
        "CANDLE_BACKFILL_DAYS": "1",
        "PM_RECONCILE_SEC": "150",
    }
    async with running_stack(folder, valkey, **changed) as stack:
        await until(stack, "GetStatus")
        return {
            "live trading is disabled, and the broker unreachable": await call_all(
                stack, WITHOUT_CANDLES
            )
        }


@asynccontextmanager
async def running_valkey(folder: Path) -> AsyncIterator[ValkeyServer]:
    server = ValkeyServer(folder, fsync="no")
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> OutcomesBySituation:
    """The outcomes of every method in every situation.

    A machine that stalls in the one moment of a situation turns an error into another one. If a
    documented error is missing, all situations are made once more; one that misses twice fails.
    """
    found: OutcomesBySituation = {}
    for again in ("", ", again"):
        for run in (
            from_start_to_store_failure,
            without_broker_and_gateway,
            read_only,
            live_and_unreachable,
        ):
            folder = tmp_path_factory.mktemp(run.__name__)
            async with running_valkey(folder) as valkey:
                situations = await run(folder, valkey)
            found |= {f"{name}{again}": outcomes for name, outcomes in situations.items()}
        if all(is_returned(error, found) for error in method_errors()):
            break
    return found


def is_returned(error: DocumentedError, seen: OutcomesBySituation) -> bool:
    """Whether a situation showed the error over gRPC, and one over REST if there is a route."""
    name = error.method.name
    pairs = [outcomes[name] for outcomes in seen.values() if name in outcomes]
    ways = zip(*pairs, strict=True) if error.method.route else [[native for native, _ in pairs]]
    return bool(pairs) and all(error.outcome in outcomes for outcomes in ways)


@pytest.mark.parametrize("error", method_errors(), ids=str)
async def test_a_documented_error_is_returned(
    seen: OutcomesBySituation, error: DocumentedError
) -> None:
    outcomes = {
        situation: outcomes[error.method.name]
        for situation, outcomes in seen.items()
        if error.method.name in outcomes
    }
    assert is_returned(error, seen), outcomes


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_no_undocumented_error_is_returned(seen: OutcomesBySituation, method: Method) -> None:
    documented = {OK, *(error.outcome for error in method_errors() if error.method == method)}
    for situation, outcomes in seen.items():
        for outcome in outcomes.get(method.name, ()):
            assert outcome is None or outcome in documented or is_from_proxy(outcome), situation


def is_from_proxy(outcome: Outcome) -> bool:
    """Whether Envoy reports that a service is down, or that too many calls wait for it."""
    reasons = {"", "UPSTREAM_UNAVAILABLE", "OVERLOADED"}
    return outcome.code == "UNAVAILABLE" and outcome.reason in reasons


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda m: m.name)
async def test_every_method_succeeds_in_normal_operation(
    seen: OutcomesBySituation, method: Method
) -> None:
    native, rest = seen["normal operation"][method.name]
    assert native == OK
    assert rest in {OK, None}
    assert (rest is None) is not bool(method.route)
