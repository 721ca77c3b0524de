"""Everything that goes wrong in the day, one class or function for each kind.

A fault begins before a cycle, and is ended before the market is given time to look sound again.
``holds_up_closes`` is set where the broker or the connection to it carries out no close while it
lasts: a position can then be neither reduced nor given its stop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sep_kit.errors import StoreUnavailableError
from sep_kit.store import keys
from sep_kit.store.connection import reply
from sep_paper_broker.orders.requests import ClientExtensions, MarketOrderRequest

from .stand import EUR, OWN_TAG, PAIRS, Stand

Step = Callable[[Stand], Awaitable[None]]


async def nothing(_: Stand) -> None:
    """Nothing is to be done."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault. ``during`` runs together with the first cycle under it."""

    name: str
    begin: Step = nothing
    during: Step | None = None
    end: Step = nothing
    holds_up_closes: bool = False


def at_broker(name: str, *, holds_up_closes: bool = False, **fields: Any) -> Fault:
    """A fault of the paper broker; a callable field is drawn anew each time."""

    async def begin(stand: Stand) -> None:
        drawn = {k: v(stand) if callable(v) else v for k, v in fields.items()}
        stand.paper.faults.add(drawn)
        stand.apply_faults()

    async def end(stand: Stand) -> None:
        stand.paper.faults.clear()
        stand.apply_faults()

    return Fault(name=name, begin=begin, end=end, holds_up_closes=holds_up_closes)


def some_pair(stand: Stand) -> str:
    """An instrument, rather one that is held."""
    held = sorted({t.instrument for t in stand.own_trades()})
    return stand.chance.choice(held or PAIRS)


def pick(*values: Any) -> Callable[[Stand], Any]:
    """One of the values."""
    return lambda stand: stand.chance.choice(values)


async def raise_margin_rate(stand: Stand) -> None:
    """The account's margin rate, as a person raises it."""
    rate = stand.chance.choice(("0.05", "0.1", "0.2", "0.5"))
    await stand.ask_broker("PATCH", "configuration", {"marginRate": rate})


async def lower_margin_rate(stand: Stand) -> None:
    """Back to that of the instruments."""
    await stand.ask_broker("PATCH", "configuration", {"marginRate": "0.02"})


async def close_by_hand(stand: Stand) -> None:
    """A person closes a trade of the stack, or half of it."""
    trades = stand.own_trades()
    if trades:
        trade = stand.chance.choice(trades)
        units = str(abs(int(trade.current_units)) // 2 or 1)
        body = {"units": stand.chance.choice(("ALL", units))}
        await stand.ask_broker("PUT", f"trades/{trade.id}/close", body)


async def trade_by_hand(stand: Stand) -> None:
    """A person buys or sells a little; against a position of the stack that takes a part of it."""
    units = stand.chance.choice((-1, 1)) * stand.chance.randint(100, 20_000)
    order = {"type": "MARKET", "instrument": some_pair(stand), "units": str(units)}
    await stand.ask_broker("POST", "orders", {"order": order})


async def end_hand_trades(stand: Stand) -> None:
    """The person closes some of them again."""
    own = {t.id for t in stand.own_trades()}
    for trade in stand.account.book.open_trades():
        if trade.id not in own and stand.chance.random() < 0.8:
            await stand.ask_broker("PUT", f"trades/{trade.id}/close", {"units": "ALL"})


async def second_writer(stand: Stand) -> None:
    """Another stack trades on the account under the same tag."""
    mark = ClientExtensions(id=f"sep-other-{stand.clock.now_ns()}", tag=OWN_TAG)
    order = MarketOrderRequest(
        instrument=some_pair(stand), units=Decimal(stand.chance.choice((-500, 500))),
        client_extensions=mark, trade_client_extensions=mark,
    )  # fmt: skip
    account, before = stand.account, len(stand.ledger)
    account.submit(order, stand.clock.now_ns())
    stand.paper.broker.commit()
    stand.of_second_writer |= {t.id for t in stand.ledger[before:]}


async def kill_store(stand: Stand) -> None:
    """Valkey is killed."""
    await asyncio.to_thread(stand.valkey.kill)


async def start_store(stand: Stand) -> None:
    """Valkey is back, with all that it has confirmed."""
    await stand.start_store()


async def gateway_restarts(stand: Stand) -> None:
    """The gateway is stopped in mid-cycle."""
    await asyncio.sleep(stand.chance.uniform(0, 0.1))
    await stand.stop_gateway()


async def gateway_is_away(stand: Stand) -> None:
    """The gateway is away before the cycle begins."""
    await stand.stop_gateway()


async def start_gateway(stand: Stand) -> None:
    """And back."""
    await stand.start_gateway()


async def replace_guard(stand: Stand) -> None:
    """The guard is a new process, after the end of the old one's lease."""
    await stand.replace_guard()


async def damage_lease(stand: Stand) -> None:
    """Someone deletes or overwrites the keys of the guard's lease."""
    lease, counter = keys.lease("guard"), keys.lease_counter("guard")
    damages: tuple[Callable[[], Any], ...] = (
        lambda: stand.store.delete(counter),
        lambda: stand.store.set(lease, "text"),
        lambda: stand.store.hset(lease, "token", "x"),
    )
    with suppress(StoreUnavailableError):  # the last one, after the second
        await reply(stand.chance.choice(damages)())


async def stall_guard(stand: Stand) -> None:
    """The guard stands still for 88 s between its plan and its orders."""
    guard = stand.guard

    def stall() -> None:
        guard.on_new_id = lambda: None
        stand.clock.advance(88)

    guard.on_new_id = stall


async def engage(stand: Stand) -> None:
    """An operator engages the kill switch."""
    await stand.switch(engaged=True)


DYING = "guard dies in mid-cycle"

FAULTS: tuple[Fault, ...] = (
    # The account.
    Fault(name="margin rate", begin=raise_margin_rate, end=lower_margin_rate),
    at_broker("stale views", kind="stale_views", seconds=pick(0.3, 45.0), holds_up_closes=True),
    at_broker("lost stop", kind="lost_stop", times=1, instrument=some_pair),
    at_broker("moved stop", kind="moved_stop", times=1, instrument=EUR, distance="0.01"),
    at_broker("margin closeout", kind="margin_closeout", times=1),
    Fault(name="close by hand", begin=close_by_hand),
    Fault(name="trade by hand", begin=trade_by_hand),
    Fault(name="second writer", begin=second_writer),
    # Orders.
    at_broker("FIFO", kind="fifo_violation", instrument=some_pair, holds_up_closes=True),
    at_broker("guaranteed stop", kind="guaranteed_stop_required"),
    at_broker("delisted", kind="delisted", instrument=some_pair, holds_up_closes=True),
    at_broker(
        "thin liquidity", kind="thin_liquidity", units="100", instrument=some_pair,
        holds_up_closes=True,
    ),
    at_broker("insufficient margin", kind="insufficient_margin", instrument=some_pair),
    at_broker("slippage", kind="slippage", distance="0.00050", instrument=some_pair),
    at_broker("halted", kind="halted", instrument=some_pair, holds_up_closes=True),
    # Requests.
    at_broker(
        "accepted without an answer", kind="reset_after", path="orders$|close$", times=pick(1, 2),
        holds_up_closes=True,
    ),
    at_broker("no answer", kind="hang", path="orders$|close$", times=1, holds_up_closes=True),
    at_broker(
        "never arrived", kind="reset_before", path="orders$|close$", times=pick(1, 2),
        holds_up_closes=True,
    ),
    at_broker(
        "errors", kind="status", status=pick(401, 429, 500, 503), times=pick(3, 8),
        holds_up_closes=True,
    ),
    at_broker("late answers", kind="latency", seconds=0.2, times=6, holds_up_closes=True),
    at_broker("order unreadable", kind="unreadable_order", seconds=0.5, times=2),
    at_broker("streams cut", kind="cut_stream", times=2),
    at_broker("streams silent", kind="silent_stream"),
    # Members.
    at_broker(
        "odd account", kind="odd_member", path="summary", members="account",
        field=pick("NAV", "balance", "marginRate", "hedgingEnabled", "pl", "openTradeCount"),
        json=pick("null", "{}", '"x"', '"1e999999"'), holds_up_closes=True,
    ),
    at_broker(
        "odd trade", kind="odd_member", path="openTrades", instrument=some_pair,
        field=pick("price", "currentUnits", "id"), text="x", count=1, holds_up_closes=True,
    ),
    at_broker(
        "odd instrument", kind="odd_member", path="instruments", instrument=some_pair,
        field=pick("marginRate", "tradeUnitsPrecision"), text=pick("0", "x"),
        holds_up_closes=True,
    ),
    at_broker(
        "odd transaction", kind="odd_member", path="transactions", field=pick("units", "time"),
        text="x", count=1,
    ),
    at_broker(
        "odd price", kind="bad_prices", value=pick("zero", "crossed", "unparsable"),
        instrument=some_pair, holds_up_closes=True,
    ),
    # Processes.
    Fault(name="store restarts", begin=kill_store, end=start_store),
    Fault(name="gateway stops in mid-cycle", during=gateway_restarts, end=start_gateway,
          holds_up_closes=True),
    Fault(name="gateway away", begin=gateway_is_away, end=start_gateway, holds_up_closes=True),
    Fault(name="guard restarts", begin=replace_guard),
    Fault(name=DYING, end=replace_guard, holds_up_closes=True),
    Fault(name="guard stalls", begin=stall_guard, holds_up_closes=True),
    Fault(name="lease damaged", begin=damage_lease),
    Fault(name="kill switch", begin=engage),
)  # fmt: skip
