"""What the stack has done at the broker: turnover, entries, stop-outs, refusals in a row.

Every count is a fold over the broker's ledger, so a restart, a lost answer or a second replica
counts nothing twice and misses nothing. What the ledger lacks is in ``refused_orders``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sep_guard.domain.market import ZERO
from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerEvent,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
    Unclaimed,
    Unreadable,
)
from sep_guard.domain.risk.limits import RiskLimits
from sep_guard.domain.risk.locks import LockCause, Trigger
from sep_guard.domain.risk.trading_day import day_start_ms

HOUR_MS = 3_600_000
_FOREIGN = (CloseReason.BY_HAND, CloseReason.MARGIN_CLOSEOUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentActivity:
    """Counts of one instrument.

    Attributes:
        trades: signed units of this stack's open trades by trade id, by the ledger.
        entries_ms: times of entries within the last hour; steps of one position are one entry.
        stops_today: stop-outs since 17:00 New York.
        refusal: the broker's reason for refusing the last entry; empty after a fill.
        refusals: how often in a row that reason came.
        last_entry_ms: when the last position was opened; None where it is not known.
        last_exit_ms: when the last position was closed.
    """

    trades: Mapping[str, Decimal] = field(default_factory=dict)
    entries_ms: tuple[int, ...] = ()
    stops_today: int = 0
    refusal: str = ""
    refusals: int = 0
    last_entry_ms: int | None = None
    last_exit_ms: int | None = None

    @property
    def units(self) -> Decimal:
        """Signed units that this stack holds."""
        return sum(self.trades.values(), ZERO)


_NONE = InstrumentActivity()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityState:
    """Counts of the account.

    Attributes:
        through_id: newest transaction that is counted.
        day_start_ms: 17:00 New York that the day's counts belong to.
        opened_value: value opened since then, in home currency.
        unvalued: transactions since then that can't be read, or fills without a known value;
            while there are any, no entry passes.
        instruments: counts by instrument; one without counts may be absent.
        refused_orders: refused orders that were counted before the ledger showed them, by client
            order id, with the transaction that their answer named; 0 for none.
    """

    through_id: int
    day_start_ms: int
    opened_value: Decimal = ZERO
    unvalued: int = 0
    instruments: Mapping[str, InstrumentActivity] = field(default_factory=dict)
    refused_orders: Mapping[str, int] = field(default_factory=dict)

    def of(self, instrument: str) -> InstrumentActivity:
        """Counts of one instrument."""
        return self.instruments.get(instrument, _NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTrade:
    """An open trade of this stack; ``units`` are signed."""

    instrument: str
    trade_id: str
    units: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A fold's result: counts, cash moved in or out, and the locks that follow."""

    activity: ActivityState
    transfers: Decimal
    triggers: tuple[Trigger, ...]


def begin(through_id: int, trades: Iterable[OwnTrade], now_ms: int) -> ActivityState:
    """Counts that begin after a transaction, with the trades open then."""
    held: dict[str, InstrumentActivity] = {}
    for trade in trades:
        before = held.get(trade.instrument, _NONE)
        units = {**before.trades, trade.trade_id: trade.units}
        held[trade.instrument] = replace(before, trades=units)
    return ActivityState(through_id=through_id, day_start_ms=day_start_ms(now_ms), instruments=held)


def fold(state: ActivityState, page: LedgerPage, limits: RiskLimits, now_ms: int) -> Folded:
    """Counts after a page of the ledger; events that were counted before are skipped."""
    state = _new_day(state, now_ms)
    transfers, triggers = ZERO, []
    # One fill may close several trades and open one: events share their transaction.
    counted = state.through_id
    for event in page.events:
        if event.transaction_id <= counted:
            continue
        if isinstance(event, Transfer):
            transfers += event.amount
        elif not isinstance(event, Unclaimed):
            state, trigger = _count(state, event, limits)
            if trigger is not None:
                triggers.append(trigger)
        state = replace(state, through_id=event.transaction_id)
    through = max(state.through_id, page.through_id)
    return Folded(
        activity=_trimmed(replace(state, through_id=through), now_ms),
        transfers=transfers,
        triggers=tuple(triggers),
    )


def entries_last_hour(state: ActivityState, instrument: str, now_ms: int) -> int:
    """Entries of an instrument within the last hour."""
    return sum(now_ms - ts < HOUR_MS for ts in state.of(instrument).entries_ms)


def turnover(state: ActivityState, nav: Decimal, added: Decimal = ZERO) -> Decimal | None:
    """Value opened since 17:00 New York in NAVs, with what an order would add.

    None where it is unknown: NAV is not above 0, or a fill has no known value.
    """
    if not nav.is_finite() or nav <= 0 or state.unvalued:
        return None
    return (state.opened_value + added) / nav


def reset_turnover(state: ActivityState) -> ActivityState:
    """The same counts with turnover begun anew, after an acknowledgement."""
    return replace(state, opened_value=ZERO, unvalued=0)


def _new_day(state: ActivityState, now_ms: int) -> ActivityState:
    day = day_start_ms(now_ms)
    if day <= state.day_start_ms:
        return state
    instruments = {i: replace(a, stops_today=0) for i, a in state.instruments.items()}
    return replace(state, day_start_ms=day, opened_value=ZERO, unvalued=0, instruments=instruments)


def _count(
    state: ActivityState, event: LedgerEvent, limits: RiskLimits
) -> tuple[ActivityState, Trigger | None]:
    if isinstance(event, Opened):
        return _count_opened(state, event), None
    if isinstance(event, Closed):
        return _count_closed(state, event, limits)
    if isinstance(event, Refused):
        if event.transaction_id in state.refused_orders.values():
            return state, None
        return count_refused(state, event, limits)
    if isinstance(event, Unreadable):
        return replace(state, unvalued=state.unvalued + 1), None
    return state, None


def _count_opened(state: ActivityState, event: Opened) -> ActivityState:
    before = state.of(event.instrument)
    new_position = before.units * event.units <= 0
    entries = (*before.entries_ms, event.ts_ms) if new_position else before.entries_ms
    trades = {**before.trades, event.trade_id: event.units}
    after = replace(
        before,
        trades=trades,
        entries_ms=entries,
        refusal="",
        refusals=0,
        last_entry_ms=event.ts_ms if new_position else before.last_entry_ms,
    )
    state = _with(state, event.instrument, after)
    if event.ts_ms < state.day_start_ms:
        return state
    if event.value is None:
        return replace(state, unvalued=state.unvalued + 1)
    return replace(state, opened_value=state.opened_value + event.value)


def _count_closed(
    state: ActivityState, event: Closed, limits: RiskLimits
) -> tuple[ActivityState, Trigger | None]:
    instrument = next(
        (name for name, a in state.instruments.items() if event.trade_id in a.trades), None
    )
    if instrument is None:
        # Opened by hand, or before these counts began: not this stack's.
        return state, None
    before = state.of(instrument)
    after = replace(before, trades=_reduced(before.trades, event))
    if not after.trades:
        after = replace(after, last_exit_ms=event.ts_ms)
    trigger = None
    if event.reason is CloseReason.STOP_LOSS and event.ts_ms >= state.day_start_ms:
        after = replace(after, stops_today=after.stops_today + 1)
        if after.stops_today >= limits.max_stops_per_day:
            trigger = Trigger(
                instrument=instrument,
                cause=LockCause.STOP_OUTS,
                reason=f"{after.stops_today} stop-outs since 17:00 New York, "
                f"{limits.max_stops_per_day} allowed",
            )
    elif event.reason in _FOREIGN:
        by = "by a margin closeout" if event.reason is CloseReason.MARGIN_CLOSEOUT else "by hand"
        trigger = Trigger(
            instrument=instrument,
            cause=LockCause.FOREIGN_CLOSE,
            reason=f"transaction {event.transaction_id} closed units of this stack {by}",
        )
    return _with(state, instrument, after), trigger


def _reduced(trades: Mapping[str, Decimal], event: Closed) -> dict[str, Decimal]:
    units = trades[event.trade_id]
    left = max(ZERO, abs(units) - event.units)
    others = {i: u for i, u in trades.items() if i != event.trade_id}
    return {**others, event.trade_id: left.copy_sign(units)} if left else others


def count_refused(
    state: ActivityState, event: Refused, limits: RiskLimits
) -> tuple[ActivityState, Trigger | None]:
    """Counts after one refusal, and the lock that follows."""
    before = state.of(event.instrument)
    count = before.refusals + 1 if event.reason == before.refusal else 1
    after = replace(before, refusal=event.reason, refusals=count)
    trigger = None
    if count >= limits.max_equal_rejects:
        trigger = Trigger(
            instrument=event.instrument,
            cause=LockCause.REJECTS,
            reason=f"the broker refused {count} entries in a row: {event.reason}"
            + (f" ({event.message})" if event.message else ""),
        )
    return _with(state, event.instrument, after), trigger


def _with(state: ActivityState, instrument: str, counts: InstrumentActivity) -> ActivityState:
    return replace(state, instruments={**state.instruments, instrument: counts})


def _trimmed(state: ActivityState, now_ms: int) -> ActivityState:
    """Without old entries, instruments that have no counts, and orders that the ledger covers."""
    trimmed = {
        instrument: replace(
            counts, entries_ms=tuple(ts for ts in counts.entries_ms if now_ms - ts < HOUR_MS)
        )
        for instrument, counts in state.instruments.items()
    }
    return replace(
        state,
        instruments={i: c for i, c in trimmed.items() if c != _NONE},
        refused_orders={
            order: at
            for order, at in state.refused_orders.items()
            if not at or at > state.through_id
        },
    )
