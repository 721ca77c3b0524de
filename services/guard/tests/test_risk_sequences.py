"""Random markets, signals, fills and faults over many cycles: no sequence passes a limit."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState
from sep_guard.adapters.risk_records import ActivityRecord, EquityRecord, LocksRecord, TripRecord
from sep_guard.domain.actions import Action, Kind
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.limits import Controls, GuardLimits, PortfolioLimits
from sep_guard.domain.market import Account, Bracket, Holding, Market, Quote, Signal, Weights
from sep_guard.domain.risk import locks
from sep_guard.domain.risk.activity import OwnTrade
from sep_guard.domain.risk.context import context_of
from sep_guard.domain.risk.exposure import Exposure, exposure_of
from sep_guard.domain.risk.ledger_events import (
    Closed,
    CloseReason,
    LedgerEvent,
    LedgerPage,
    Opened,
    Refused,
    Transfer,
)
from sep_guard.domain.risk.monitor import Reading, acknowledge, observe, trip
from sep_guard.domain.risk.state import RiskState
from sep_guard.domain.target_side import Cause
from sep_guard.domain.view import View
from sep_kit.store.documents import Document

from .risk.limits import LIMITS as IN_FORCE
from .view_strategies import ENTRY

D = Decimal
Record = TypeVar("Record", bound=Document)
START = 1_772_625_600_000
PAIRS = ("AUD_USD", "EUR_USD", "USD_CHF")
MIDS = {"AUD_USD": D("0.66"), "EUR_USD": D("1.08"), "USD_CHF": D("0.88")}
# Small enough that a short sequence reaches each of them.
RISK = replace(
    IN_FORCE, max_turnover=D(6), max_entries_per_hour=2, max_equal_rejects=2, max_stops_per_day=1,
    max_leverage=D(5), max_currency_leverage=D(3),
)  # fmt: skip
LIMITS = GuardLimits(
    entry=ENTRY,
    portfolio=PortfolioLimits(
        top_k=3, target_pct=D("0.30"), max_per_position_pct=D(1), ramp_step_pct=D("0.6"),
        rebalance_band=D("0.1"), margin_low=D("0.90"), margin_high=D("0.95"), adopt_manual=False,
    ),
    risk=RISK,
)  # fmt: skip
OPEN = SessionState(True, None, None, ())


@dataclass
class Trade:
    instrument: str
    units: Decimal
    price: Decimal
    stop: Decimal


class PureBroker:
    """An account at given prices: stops fill at the price that reached them, as in a gap."""

    def __init__(self) -> None:
        self.mids = dict(MIDS)
        self.balance = D(100_000)
        self.trades: dict[str, Trade] = {}
        self.events: list[LedgerEvent] = []
        self.ended: list[tuple[int, str, CloseReason]] = []
        self.now = START

    @property
    def at(self) -> int:
        return len(self.events) + 1

    def home(self, instrument: str) -> Decimal:
        return 1 / self.mids[instrument] if instrument == "USD_CHF" else D(1)

    @property
    def nav(self) -> Decimal:
        return self.balance + sum((self.result(t) for t in self.trades.values()), D(0))

    def result(self, trade: Trade) -> Decimal:
        moved = self.mids[trade.instrument] - trade.price
        return trade.units * moved * self.home(trade.instrument)

    def move(self, shares: dict[str, Decimal]) -> None:
        for instrument, share in shares.items():
            self.mids[instrument] = (self.mids[instrument] * (1 + share)).quantize(D("0.00001"))
        for name, trade in list(self.trades.items()):
            side = 1 if trade.units > 0 else -1
            if (self.mids[trade.instrument] - trade.stop) * side <= 0:
                self.close(name, abs(trade.units), CloseReason.STOP_LOSS)

    def close(self, name: str, units: Decimal, reason: CloseReason) -> None:
        trade = self.trades[name]
        self.ended.append((self.now, trade.instrument, reason))
        part = replace(trade, units=units.copy_sign(trade.units))
        self.balance += self.result(part)
        left = trade.units - part.units
        if left:
            trade.units = left
        else:
            del self.trades[name]
        self.events.append(
            Closed(
                transaction_id=self.at, ts_ms=self.now, trade_id=name, units=units, reason=reason
            )
        )

    def transfer(self, amount: Decimal) -> None:
        self.balance += amount
        self.events.append(Transfer(transaction_id=self.at, ts_ms=self.now, amount=amount))

    def refuse(self, instrument: str) -> None:
        self.events.append(
            Refused(transaction_id=self.at, ts_ms=self.now, instrument=instrument, reason="FIFO")
        )

    def reduce(self, action: Action) -> None:
        left = abs(action.order)
        for name, trade in list(self.trades.items()):
            if trade.instrument == action.instrument and left:
                part = min(left, abs(trade.units))
                self.close(name, part, CloseReason.OWN_ORDER)
                left -= part

    def enter(self, action: Action) -> None:
        assert action.brackets is not None
        name, mid = str(self.at), self.mids[action.instrument]
        self.trades[name] = Trade(action.instrument, action.order, mid, action.brackets.stop_loss)
        value = abs(action.order) * mid * self.home(action.instrument)
        self.events.append(
            Opened(
                transaction_id=self.at, ts_ms=self.now, instrument=action.instrument,
                trade_id=name, units=action.order, value=value,
            )
        )  # fmt: skip

    def stopped_or_closed_by_hand(self) -> set[str]:
        """Instruments of which the ledger shows such an end at this moment."""
        return {name for at, name, reason in self.ended
                if at == self.now and reason is not CloseReason.OWN_ORDER}  # fmt: skip

    def held(self, instrument: str) -> Decimal:
        return sum((t.units for t in self.trades.values() if t.instrument == instrument), D(0))


def decimals(low: str, high: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=4, allow_nan=False, allow_infinity=False)


STEP = st.fixed_dictionaries(
    {
        "seconds": st.sampled_from([30, 30, 30, 600, 4000, 90_000]),
        "moves": st.fixed_dictionaries(
            {p: st.one_of(st.just(D(0)), decimals("-0.0030", "0.0030"), decimals("-0.08", "0.08"))
             for p in PAIRS}
        ),
        "directions": st.fixed_dictionaries({p: st.sampled_from([-1, 1, 1]) for p in PAIRS}),
        "stops": st.fixed_dictionaries({p: decimals("0.0005", "0.0800") for p in PAIRS}),
        "weights": st.fixed_dictionaries({p: st.sampled_from([D(0), D("0.1")]) for p in PAIRS}),
        "off": st.fixed_dictionaries(
            {p: st.sampled_from([D(0)] * 8 + [D("-0.1"), D("-0.0031"), D("0.0031")]) for p in PAIRS}
        ),
        "transfer": st.one_of(st.just(D(0)), st.just(D(0)), decimals("-30000", "300000")),
        "nav": st.sampled_from(["true"] * 12 + ["unreadable", "NaN", "0", "-1000"]),
        "refused": st.booleans(),
        "by_hand": st.sampled_from([False] * 4 + [True]),
        "acknowledged": st.sampled_from([False] * 3 + [True]),
        "restarted": st.booleans(),
    }
)  # fmt: skip


def restored(state: RiskState) -> RiskState:
    """The state as a guard that starts anew reads it."""
    equity, activity, tripped = state.equity, state.activity, state.trip
    return RiskState(
        equity=equity and copied(EquityRecord.of(equity)).to_state(),
        activity=activity and copied(ActivityRecord.of(activity)).to_state(),
        trip=tripped and copied(TripRecord.of(tripped)).to_trip(),
        locks={
            name: copied(LocksRecord.of(held)).to_locks()
            for name, held in state.locks.items()
        },
    )  # fmt: skip


def copied(record: Record) -> Record:
    """A record written and read again."""
    return type(record).model_validate_json(record.model_dump_json())


class GuardCycles:
    """Cycles as the guard runs them, and what holds after each."""

    def __init__(self) -> None:
        self.broker = PureBroker()
        self.state = RiskState()
        self.opened: list[tuple[int, str]] = []
        # What a person has to acknowledge: it never ends by itself.
        self.tripped = False

    def run(self, step: dict[str, Any]) -> None:
        broker = self.broker
        broker.now += step["seconds"] * 1000
        broker.move(step["moves"])
        if step["transfer"] and broker.nav + step["transfer"] > 1000:
            broker.transfer(step["transfer"])
        if step["by_hand"] and broker.trades:
            name = next(iter(broker.trades))
            broker.close(name, abs(broker.trades[name].units), CloseReason.BY_HAND)
        if step["restarted"]:
            assert restored(self.state) == self.state
            self.state = restored(self.state)
        if step["acknowledged"]:
            self.state, self.tripped = acknowledge(self.state), False
        self.cycle(step)

    def cycle(self, step: dict[str, Any]) -> None:
        broker = self.broker
        nav: Decimal | None = broker.nav
        if step["nav"] != "true":
            nav = None if step["nav"] == "unreadable" else D(step["nav"])
        observed = observe(self.state, self.reading(nav), RISK, broker.now)
        if nav is None:
            assert observed.state.trip == self.state.trip
        elif not (nav.is_finite() and nav > 0):
            assert observed.state.trip is not None
        view = self.view(step, observed, D("NaN") if nav is None else nav)
        plan = plan_cycle(view, LIMITS)
        assert not self.tripped or observed.state.trip is not None
        self.tripped = observed.state.trip is not None
        if self.tripped or not observed.readable:
            assert not [a for a in plan.actions if a.kind is Kind.ENTRY]
        state = observed.state if plan.trip is None else trip(observed.state, plan.trip)
        for trigger in plan.triggers:
            state = replace(
                state, locks=locks.impose(state.locks, trigger, RISK.lock_minutes, broker.now)
            )
        self.state, self.tripped = state, state.trip is not None
        for action in plan.actions:
            if action.kind is Kind.REDUCTION:
                assert not (step["off"][action.instrument] and Cause.REBALANCE in action.reasons)
                broker.reduce(action)
        for action in plan.actions:
            if action.kind is not Kind.ENTRY or state.trip is not None:
                continue
            assert observed.readable
            assert not locks.active(state.locks, broker.now, action.instrument)
            assert not step["off"][action.instrument]
            assert action.instrument not in broker.stopped_or_closed_by_hand()
            if step["refused"]:
                broker.refuse(action.instrument)
                continue
            if not broker.held(action.instrument):
                self.opened.append((broker.now, action.instrument))
            broker.enter(action)
            self.check_entry(action, view)
        self.check_counts()

    def reading(self, nav: Decimal | None) -> Reading:
        page = LedgerPage(events=self.broker.events, through_id=len(self.broker.events))
        trades = [OwnTrade(instrument=t.instrument, trade_id=n, units=t.units)
                  for n, t in self.broker.trades.items()]  # fmt: skip
        return Reading(nav=nav, ledger=page if nav is not None else None, trades=trades)

    def view(self, step: dict[str, Any], observed: Any, nav: Decimal) -> View:
        broker, now = self.broker, self.broker.now
        markets = {}
        for pair in PAIRS:
            mid = broker.mids[pair]
            half = mid * D("0.00005")
            stop = mid * step["stops"][pair]
            markets[pair] = Market(
                instrument=Instrument(
                    name=pair, display_precision=5, trade_units_precision=0,
                    minimum_trade_size=D(1), margin_rate=D("0.02"),
                ),
                session=OPEN,
                signal=Signal(
                    ended_ms=now, coherence=0.62, stability=0.9, entropy=0.7, rupture=0.1,
                    direction=step["directions"][pair], sigma_eff=D("0.0001"),
                    close=mid * (1 + step["off"][pair]),
                    bracket=Bracket(stop=stop, take_profit=stop * 2, max_spread=None),
                ),
                manifold_ms=now,
                manifold_price=mid,
                quote=Quote(bid=mid - half, ask=mid + half, ts_ms=now, tradeable=True),
                home_per_quote=broker.home(pair),
                holding=Holding(managed=broker.held(pair)),
                order_unknown=False,
            )  # fmt: skip
        exposure = exposure_of(markets.values())
        used = exposure.gross * D("0.02")
        account = Account(
            balance=broker.balance, nav=nav, margin_used=used,
            margin_available=max(D(0), broker.nav - used), last_transaction_id="1",
        )  # fmt: skip
        return View(
            account=account,
            markets=markets,
            weights=Weights(ts=now, gates_ts=now, by_instrument=step["weights"], held=False),
            margin_was_open=True,
            controls=Controls(kill_switch=False, read_only=False, live_allowed=True),
            now_ms=now,
            link_sound=True,
            risk=context_of(observed, exposure, now),
            observed=observed,
        )

    def check_entry(self, action: Action, view: View) -> None:
        """What holds right after an entry, in NAVs of the moment it was decided."""
        broker, nav = self.broker, view.account.nav
        assert action.brackets is not None
        distance = abs(action.brackets.price_bound - action.brackets.stop_loss)
        held = abs(broker.held(action.instrument))
        assert held >= abs(action.order)
        loss = held * distance * broker.home(action.instrument)
        assert loss <= RISK.max_loss_per_trade * nav
        exposure = self.exposure()
        assert exposure.gross <= RISK.max_leverage * nav * D("1.0001")
        base, quote = action.instrument.split("_")
        for currency in (base, quote):
            net = abs(exposure.by_currency.get(currency, D(0)))
            assert net <= RISK.max_currency_leverage * nav * D("1.0001")

    def check_counts(self) -> None:
        now, state = self.broker.now, self.state
        for pair in PAIRS:
            recent = [t for t, name in self.opened if name == pair and now - t < 3_600_000]
            assert len(recent) <= RISK.max_entries_per_hour
        counted = state.activity
        if counted is not None and self.broker.nav > 0 and state.trip is None:
            assert counted.opened_value <= RISK.max_turnover * self.broker.nav * D("1.3")

    def exposure(self) -> Exposure:
        gross, net = D(0), dict[str, Decimal]()
        for pair in PAIRS:
            value = self.broker.held(pair) * self.broker.mids[pair] * self.broker.home(pair)
            gross += abs(value)
            base, quote = pair.split("_")
            net[base] = net.get(base, D(0)) + value
            net[quote] = net.get(quote, D(0)) - value
        return Exposure(gross=gross, by_currency=net)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEP, min_size=1, max_size=25))
def test_no_sequence_of_cycles_passes_a_limit(steps: list[dict[str, Any]]) -> None:
    """After a trip no entry until an acknowledgement; a restart changes no verdict."""
    guard = GuardCycles()
    for step in steps:
        guard.run(step)


@given(steps=st.lists(st.tuples(STEP, decimals("-30000", "300000")), max_size=20))
def test_transfers_alone_never_trip(steps: list[tuple[dict[str, Any], Decimal]]) -> None:
    guard = GuardCycles()
    still = {"moves": dict.fromkeys(PAIRS, D(0)), "nav": "true", "acknowledged": False}
    guard.run({**still, **still_step()})
    for step, amount in steps:
        guard.run({**step, **still, "transfer": amount, "weights": dict.fromkeys(PAIRS, D(0))})
        assert guard.state.trip is None


def still_step() -> dict[str, Any]:
    return {
        "seconds": 30, "directions": dict.fromkeys(PAIRS, 1), "transfer": D(0),
        "off": dict.fromkeys(PAIRS, D(0)),
        "stops": dict.fromkeys(PAIRS, D("0.01")), "weights": dict.fromkeys(PAIRS, D(0)),
        "refused": False, "by_hand": False, "restarted": False,
    }  # fmt: skip


@given(
    transfers=st.lists(decimals("-20000", "500000"), min_size=1, max_size=8),
    place=st.integers(0, 7),
)
def test_transfers_never_hide_a_loss(transfers: list[Decimal], place: int) -> None:
    """A loss of 2.1 % of the smallest account of the day trips among any transfers."""
    nav, state = D(100_000), RiskState()
    events: list[LedgerEvent] = []
    state = observe(state, Reading(nav=nav, ledger=LedgerPage(events=(), through_id=0), trades=()),
                    IN_FORCE, START).state  # fmt: skip
    for step, amount in enumerate(transfers):
        if nav + amount <= 1000:
            continue
        lost = max(nav, D(100_000)) * D("0.021") if step == place % len(transfers) else D(0)
        nav += amount - lost
        if nav <= 0:
            return
        at = len(events) + 1
        events.append(Transfer(transaction_id=at, ts_ms=START, amount=amount))
        page = LedgerPage(events=events, through_id=at)
        state = observe(state, Reading(nav=nav, ledger=page, trades=()), IN_FORCE, START + at).state
        if lost:
            assert state.trip is not None
