"""In-memory twin of the ``Broker`` port: fills at once, and loses responses on demand."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sep_fx.instrument import Instrument
from sep_guard.domain.market import ZERO, Account, Quote, Trade
from sep_guard.domain.orders import TRADE_GONE, Intent, Outcome, Result
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerEvent,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
)
from sep_guard.domain.stop_guard import StopOrder, StopSet
from sep_guard.domain.trades import OpenTrades
from sep_guard.ports import Prices
from sep_kit.clock import Clock, now_ms
from sep_kit.errors import BrokerUnavailableError, StaleViewError

RATE = Decimal("0.02")


@dataclass
class Position:
    """Signed units, managed and manual."""

    managed: Decimal = ZERO
    manual: Decimal = ZERO


@dataclass(frozen=True, kw_only=True)
class Refusing:
    """How the broker refuses entries.

    ``in_ledger`` writes the refusal to the ledger; without it the answer names a transaction after
    ``first_id`` that the ledger never shows, or none at all for 0.
    """

    reason: str
    first_id: int = 0
    in_ledger: bool = False


class MemoryBroker:
    """One account with a fixed balance, at prices that the test sets.

    Each order takes the next of ``faults``: ``lost_response`` fills and returns UNKNOWN,
    ``lost_order`` returns UNKNOWN and never arrives.
    """

    def __init__(self, clock: Clock, *instruments: str, balance: int = 100_000) -> None:
        self._clock = clock
        self.balance = Decimal(balance)
        self.rules = {
            i: Instrument(
                name=i,
                display_precision=5,
                trade_units_precision=0,
                minimum_trade_size=Decimal(1),
                margin_rate=RATE,
            )
            for i in instruments
        }
        self.mids = dict.fromkeys(instruments, Decimal("1.10000"))
        self.positions = {i: Position() for i in instruments}
        self.placed: list[Intent] = []
        self.fills: dict[str, Result] = {}
        self.faults: list[str] = []
        self.before_place: Callable[[Intent], Awaitable[None]] | None = None
        self.down = self.prices_down = False
        self._placing = False
        self.overlapped = False
        self.events: list[LedgerEvent] = []
        self.views_end: int | None = None
        """Account and trades end at this transaction of the ledger; None for its last."""
        self._demanded = Counter[int]()
        self.nav: Decimal | None = None
        """NAV as the broker sends it; the balance when None."""
        self.ledger_down = False
        self.refusals: dict[str, Refusing] = {}
        """By instrument: entries are refused like this, and the ledger says nothing of it."""
        self.open_trades: dict[str, OwnTrade] = {}
        self.client_ids: dict[str, str] = {}
        self.stops: dict[str, Decimal | None] = {}
        self.stops_set: list[StopOrder] = []

    def transfer(self, amount: int) -> None:
        """Move cash in or out, as the ledger then says."""
        self.balance += amount
        self._append(
            Transfer(transaction_id=self._next_id, ts_ms=self._now, amount=Decimal(amount))
        )

    def refuse(self, instrument: str, reason: str) -> None:
        """The ledger of an entry that the broker refused."""
        self._append(
            Refused(
                transaction_id=self._next_id, ts_ms=self._now, instrument=instrument, reason=reason
            )
        )

    def close_foreign(self, instrument: str, reason: CloseReason) -> None:
        """Close this stack's trades as a stop, a closeout or a person would."""
        for trade in [t for t in self.open_trades.values() if t.instrument == instrument]:
            self.close_trade(trade, abs(trade.units), reason)
        self.positions[instrument].managed = ZERO

    def trade_manually(self, instrument: str, units: int) -> None:
        self.positions[instrument].manual += units

    async def account(self, since_id: int = 0) -> Account:
        self._check_available()
        self._check_includes(since_id)
        # No plan may read the account while an order of another plan is in flight.
        self.overlapped |= self._placing
        used = sum(
            (abs(p.managed + p.manual) * self.mids[i] * RATE for i, p in self.positions.items()),
            ZERO,
        )
        return Account(
            balance=self.balance,
            nav=self.balance if self.nav is None else self.nav,
            margin_used=used,
            margin_available=self.balance - used,
            last_transaction_id=str(self._shown),
        )

    async def trades(self, since_id: int = 0) -> OpenTrades:
        self._check_available()
        self._check_includes(since_id)
        own = [
            Trade(
                id=t.trade_id, instrument=t.instrument, units=t.units, own=True,
                client_id=self.client_ids.get(t.trade_id, ""),
                stop_loss=self.stops.get(t.trade_id),
            )
            for t in self.open_trades.values()
        ]  # fmt: skip
        by_hand = [
            Trade(id=_hand_id(name), instrument=name, units=p.manual, own=False)
            for name, p in self.positions.items()
            if p.manual
        ]
        return OpenTrades(
            trades=tuple(sorted([*own, *by_hand], key=lambda t: int(t.id))),
            last_transaction_id=str(self._shown),
        )

    async def prices(self, instruments: Sequence[str]) -> Prices:
        self._check_available()
        if self.prices_down:
            raise BrokerUnavailableError("no prices")
        half, now = Decimal("0.00005"), now_ms(self._clock)
        quotes = {
            i: Quote(bid=m - half, ask=m + half, ts_ms=now, tradeable=True)
            for i, m in self.mids.items()
            if i in instruments
        }
        return Prices(quotes, {r.quote: Decimal(1) for r in self.rules.values()})

    async def instruments(self) -> Mapping[str, Instrument]:
        self._check_available()
        return self.rules

    async def place(self, intent: Intent) -> Result:
        if self.before_place is not None:
            await self.before_place(intent)
        self._placing = True
        await asyncio.sleep(0)
        try:
            return self._place(intent)
        finally:
            self._placing = False

    async def set_stop(self, stop: StopOrder) -> StopSet:
        self.stops_set.append(stop)
        if stop.trade_id not in self.open_trades:
            return StopSet(in_place=False, reason=TRADE_GONE)
        self.stops[stop.trade_id] = stop.price
        return StopSet(in_place=True)

    async def own_trades(self) -> Sequence[OwnTrade]:
        self._check_available()
        return list(self.open_trades.values())

    async def ledger(self, since_id: int, through_id: int) -> LedgerPage:
        self._check_available()
        if self.ledger_down:
            raise BrokerUnavailableError("no ledger")
        found = [e for e in self.events if since_id < e.transaction_id <= through_id]
        return LedgerPage(events=found, through_id=through_id)

    async def look_up(self, intent: Intent) -> Result | None:
        self._check_available()
        return self.fills.get(intent.client_order_id)

    @property
    def _shown(self) -> int:
        return len(self.events) if self.views_end is None else self.views_end

    def _check_includes(self, since_id: int) -> None:
        """As the gateway: refused at first, and given without it once it is sure not to exist."""
        if since_id > self._shown:
            self._demanded[since_id] += 1
            # Account and trades are read together: twice each. What the ledger has does exist.
            if since_id <= len(self.events) or self._demanded[since_id] <= 4:
                raise StaleViewError(f"transaction {since_id} is not in the account yet")

    def _check_available(self) -> None:
        if self.down:
            raise BrokerUnavailableError("the broker is down")

    def _place(self, intent: Intent) -> Result:
        unknown = Result(
            outcome=Outcome.UNKNOWN, reason="PEER_UNAVAILABLE", filled_units=ZERO, fill_price=None
        )
        self.placed.append(intent)
        fault = self.faults.pop(0) if self.faults else ""
        if self.down or fault == "lost_order":
            return unknown
        result = self.fills.get(intent.client_order_id) or self._fill(intent)
        return unknown if fault == "lost_response" else result

    def _fill(self, intent: Intent) -> Result:
        refused = self._refusal_of(intent)
        refusing = self.refusals.get(intent.instrument)
        if refusing is not None and not intent.reduce_only:
            result = self._refused(intent.instrument, refusing)
        elif refused:
            outcome = Outcome.REJECTED if refused == TRADE_GONE else Outcome.CANCELLED
            result = Result(outcome=outcome, reason=refused, filled_units=ZERO, fill_price=None)
        elif intent.trade_id:
            result = self._fill_trade(intent)
        else:
            result = self._fill_position(intent)
        self.fills[intent.client_order_id] = result
        return result

    def _refused(self, instrument: str, refusing: "Refusing") -> Result:
        at = 0
        if refusing.in_ledger:
            at = self._next_id
            self.refuse(instrument, refusing.reason)
        elif refusing.first_id:
            at = refusing.first_id + len(self.placed)
        return Result(
            outcome=Outcome.REJECTED,
            reason=refusing.reason,
            filled_units=ZERO,
            fill_price=None,
            last_id=at,
            transaction_id=at,
            by_broker=True,
        )

    def _refusal_of(self, intent: Intent) -> str:
        """The reason for which the broker cancels or rejects an order; empty for none."""
        held = self._net(self.positions[intent.instrument])
        if intent.trade_id:
            by_hand = intent.trade_id == _hand_id(intent.instrument) and held
            return "" if intent.trade_id in self.open_trades or by_hand else TRADE_GONE
        if intent.reduce_only:
            return "TIME_IN_FORCE_EXPIRED" if held * intent.units >= 0 else ""
        # An entry can only open.
        if held * intent.units < 0:
            return "FIFO_VIOLATION"
        used = (abs(held) + abs(intent.units)) * self.mids[intent.instrument] * RATE
        return "INSUFFICIENT_MARGIN" if used > self.balance else ""

    def _fill_trade(self, intent: Intent) -> Result:
        position = self.positions[intent.instrument]
        trade = self.open_trades.get(intent.trade_id)
        held = position.manual if trade is None else trade.units
        part = min(abs(held), abs(held) if intent.whole_trade else abs(intent.units))
        units = -part.copy_sign(held)
        if trade is None:
            position.manual += units
        else:
            position.managed += units
            self.close_trade(trade, part, CloseReason.OWN_ORDER)
        return self._filled(intent.instrument, units)

    def _fill_position(self, intent: Intent) -> Result:
        position, units = self.positions[intent.instrument], intent.units
        before = self._net(position)
        if intent.reduce_only:
            units = max(units, -before) if before > 0 else min(units, -before)
        # Managed trades are closed first, then manual ones; the rest opens a managed trade.
        managed = position.managed
        for kind in ("managed", "manual"):
            held = getattr(position, kind)
            if held * units < 0:
                part = max(units, -held) if held > 0 else min(units, -held)
                setattr(position, kind, held + part)
                units -= part
        position.managed += units
        opened = self._record_fill(intent.instrument, managed, position.managed)
        if opened:
            self.client_ids[opened] = intent.client_order_id
            self.stops[opened] = intent.stop_loss
        return self._filled(intent.instrument, self._net(position) - before)

    def _filled(self, instrument: str, units: Decimal) -> Result:
        return Result(
            outcome=Outcome.FILLED,
            reason="",
            filled_units=units,
            fill_price=self.mids[instrument],
            last_id=len(self.events),
        )

    @staticmethod
    def _net(position: Position) -> Decimal:
        return position.managed + position.manual

    @property
    def _next_id(self) -> int:
        return len(self.events) + 1

    @property
    def _now(self) -> int:
        return now_ms(self._clock)

    def _append(self, event: LedgerEvent) -> None:
        self.events.append(event)

    def _record_fill(self, instrument: str, before: Decimal, after: Decimal) -> str:
        """The ledger of a change of managed units: closes first; the id of an opened trade."""
        change = after - before
        closing = min(abs(change), abs(before)) if before * change < 0 else ZERO
        for trade in [t for t in self.open_trades.values() if t.instrument == instrument]:
            part = min(closing, abs(trade.units))
            if part:
                self.close_trade(trade, part, CloseReason.OWN_ORDER)
                closing -= part
        opened = change if before * change >= 0 else after if after * before < 0 else ZERO
        if not opened:
            return ""
        trade_id = str(self._next_id)
        self.open_trades[trade_id] = OwnTrade(
            instrument=instrument, trade_id=trade_id, units=opened
        )
        self._append(
            Opened(
                transaction_id=self._next_id,
                ts_ms=self._now,
                instrument=instrument,
                trade_id=trade_id,
                units=opened,
                value=abs(opened) * self.mids[instrument],
            )
        )
        return trade_id

    def close_trade(self, trade: OwnTrade, units: Decimal, reason: CloseReason) -> None:
        """Close units of a trade, with its ledger."""
        left = abs(trade.units) - units
        if left:
            self.open_trades[trade.trade_id] = replace(trade, units=left.copy_sign(trade.units))
        else:
            del self.open_trades[trade.trade_id]
        self._append(
            Closed(
                transaction_id=self._next_id,
                ts_ms=self._now,
                trade_id=trade.trade_id,
                units=units,
                reason=reason,
            )
        )


def _hand_id(instrument: str) -> str:
    """Id of the one trade that stands for what was opened by hand in an instrument."""
    return str(10**9 + sum(instrument.encode()))
