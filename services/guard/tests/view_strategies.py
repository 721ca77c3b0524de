"""Hypothesis strategies for views: valid, stale, missing, contradictory."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st
from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState
from sep_guard.domain.actions import Action, Plan
from sep_guard.domain.limits import Controls, EntryLimits, GuardLimits, PortfolioLimits
from sep_guard.domain.market import Account, Bracket, Holding, Market, Quote, Signal, Weights
from sep_guard.domain.risk.context import RiskContext
from sep_guard.domain.risk.exposure import exposure_of
from sep_guard.domain.view import View

from .risk.limits import WIDE

D = Decimal
NOW = 1_700_000_000_000
ENTRY = EntryLimits(
    min_coherence=0.55,
    max_rupture=0.60,
    max_entropy=0.75,
    min_stability=0.40,
    max_signal_age_s=300,
    max_manifold_age_s=30,
    max_weights_age_s=180,
    max_spread_bps=D("3.0"),
    exit_minutes=5,
)
# Instruments by price, display precision and unit precision, orders of magnitude apart.
LISTED = {
    "AUD_USD": ("0.66", 5, 0), "EUR_JPY": ("163", 3, 0), "EUR_USD": ("1.08", 5, 0),
    "USD_HUF": ("360", 3, 0), "USD_JPY": ("150", 3, 0), "XAU_USD": ("2300", 3, 1),
}  # fmt: skip
NAMES = tuple(LISTED)


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=places, allow_nan=False, allow_infinity=False)


def share() -> st.SearchStrategy[Decimal]:
    return decimals("0.05", "1", 2)


@st.composite
def limits(draw: st.DrawFn) -> GuardLimits:
    window = st.tuples(decimals("0.05", "0.90", 2), decimals("0.05", "0.90", 2))
    low, high = sorted(draw(st.one_of(st.just((D("0.25"), D("0.30"))), window)))
    return GuardLimits(
        entry=ENTRY,
        portfolio=PortfolioLimits(
            top_k=draw(st.integers(1, 6)),
            target_pct=draw(decimals("0.01", "0.30", 2)),
            max_per_position_pct=draw(share()),
            ramp_step_pct=draw(share()),
            rebalance_band=draw(decimals("0", "0.5", 2)),
            margin_low=low,
            margin_high=high,
            adopt_manual=draw(st.booleans()),
        ),
        risk=WIDE,
    )


@st.composite
def instruments(draw: st.DrawFn, name: str) -> Instrument:
    _, digits, precision = LISTED[name]
    return Instrument(
        name=name,
        display_precision=digits,
        trade_units_precision=precision,
        minimum_trade_size=draw(st.sampled_from([D("0.1"), D(1), D(1000)])),
        margin_rate=draw(decimals("0.005", "0.5", 4)),
        maximum_order_units=draw(st.sampled_from([D(100_000_000), D(50_000)])),
    )


@st.composite
def markets(draw: st.DrawFn, name: str, *, fine: bool, holding: Holding | None = None) -> Market:
    """One instrument; ``fine`` fulfils every condition of an entry but the holding."""
    mid = D(LISTED[name][0]) * draw(decimals("0.5", "2", 3))
    spread = mid * (D("0.0001") if fine else draw(decimals("0", "0.001", 5)))
    ages = st.integers(0, 2_000) if fine else st.integers(-10_000, 400_000)
    quote = Quote(
        bid=mid, ask=mid + spread, ts_ms=NOW - draw(ages), tradeable=fine or draw(st.booleans())
    )
    closes = NOW // 1000 + draw(st.integers(301, 90_000) if fine else st.integers(0, 900))
    is_open = fine or draw(st.booleans())
    unit = st.floats(0, 1)
    coherence, stability, entropy, rupture = (
        (0.62, 0.90, 0.70, 0.10) if fine else (draw(unit), draw(unit), draw(unit), draw(unit))
    )
    bracket = Bracket(
        stop=mid / 100,
        take_profit=mid / 50,
        max_spread=None if fine else draw(decimals("0", "1", 5)),
    )
    direction = draw(st.sampled_from([-1, 1] if fine else [-1, 0, 1]))
    signal = Signal(
        ended_ms=NOW - draw(ages),
        coherence=coherence,
        stability=stability,
        entropy=entropy,
        rupture=rupture,
        direction=direction,
        bracket=bracket,
        close=mid,
        sigma_eff=D("0.0001"),
    )
    maybe = st.just(True) if fine else st.booleans()
    units = st.one_of(st.just(D(0)), st.integers(-3_000_000, 3_000_000).map(D))
    return Market(
        instrument=draw(instruments(name)),
        session=SessionState(is_open, closes if is_open else None, None, ()),
        signal=signal if draw(maybe) else None,
        manifold_ms=NOW - draw(ages) if draw(maybe) else None,
        quote=quote if draw(maybe) else None,
        home_per_quote=draw(decimals("0.0025", "2", 4)) if draw(maybe) else None,
        holding=holding
        or Holding(
            managed=draw(units), manual=draw(st.sampled_from([D(0)] * 4 + [D(700), D(-90_000)]))
        ),
        order_unknown=not fine and draw(st.booleans()),
        manifold_price=mid,
    )


@st.composite
def weights(draw: st.DrawFn, names: list[str], *, fine: bool) -> Weights:
    most = "0.30" if fine else "1"
    shares = {i: draw(decimals("0", most, 4)) for i in names if draw(st.integers(0, 3))}
    ages = st.integers(0, 60_000) if fine else st.integers(-10_000, 400_000)
    gates_ts = NOW - draw(ages) if fine or draw(st.booleans()) else None
    return Weights(
        ts=NOW - draw(ages),
        gates_ts=gates_ts,
        by_instrument=shares,
        held=not fine and draw(st.booleans()),
    )


@st.composite
def views(draw: st.DrawFn) -> View:
    """Any view: stale, missing or future inputs, exposure over every cap, no money."""
    names = sorted(draw(st.sets(st.sampled_from(NAMES), min_size=1)))
    money = st.one_of(
        decimals("-100000", "1000000", 2), st.sampled_from([D(0), D("0.01"), D(10**9)])
    )
    fine = draw(st.booleans())
    account = Account(
        balance=draw(money),
        nav=draw(money),
        margin_used=draw(money.map(abs)),
        margin_available=draw(money),
        last_transaction_id="1",
    )
    if draw(st.booleans()):
        # A solvent account with some margin in use.
        nav, used = draw(decimals("1000", "100000000", 2)), draw(decimals("0", "0.3", 3))
        account = Account(
            balance=nav,
            nav=nav,
            margin_used=nav * used,
            margin_available=nav * (1 - used),
            last_transaction_id="1",
        )
    found = {i: draw(markets(i, fine=fine or draw(st.booleans()))) for i in names}
    return View(
        account=account,
        markets=found,
        weights=draw(st.one_of(st.none(), weights(names, fine=fine))) if not fine
        else draw(weights(names, fine=True)),
        margin_was_open=draw(st.booleans()),
        controls=Controls(
            kill_switch=not fine and draw(st.booleans()),
            read_only=not fine and draw(st.booleans()),
            live_allowed=fine or draw(st.booleans()),
        ),
        now_ms=NOW,
        link_sound=fine or draw(st.booleans()),
        risk=RiskContext(
            readable=fine or draw(st.booleans()), exposure=exposure_of(found.values())
        ),
    )  # fmt: skip


@st.composite
def true_views(draw: st.DrawFn, lim: GuardLimits) -> View:
    """Views whose account agrees with the positions; every price is there.

    Everything is in order for entries. Manual trades stand on the side of our own, since
    the broker nets the others away.
    """
    names = sorted(draw(st.sets(st.sampled_from(NAMES), min_size=1)))
    found, nothing = {}, st.just(D(0))
    for name in names:
        side = draw(st.sampled_from([-1, 1]))
        managed, manual = (
            side * draw(st.one_of(nothing, nothing, st.integers(1, 2_000_000).map(D)))
            for _ in range(2)
        )
        market = draw(markets(name, fine=True, holding=Holding(managed=managed, manual=manual)))
        # Otherwise billions would be moved in steps of thousands.
        rules = replace(market.instrument, maximum_order_units=D(10**15))
        found[name] = replace(market, instrument=rules)
    used = sum((margin_of(m) for m in found.values()), D(0))
    # From an account that can't carry its positions to one that is far larger.
    nav = used * draw(decimals("0", "20", 2)) + draw(decimals("0", "1000000", 2))
    balance = nav * draw(decimals("0.5", "1.5", 2))
    account = Account(
        balance=balance,
        nav=nav,
        margin_used=used,
        margin_available=nav - used,
        last_transaction_id="1",
    )
    on = Controls(kill_switch=False, read_only=False, live_allowed=True)
    given = draw(weights(names, fine=True))
    # As from the allocator: their sum is within the target fraction of margin available.
    total = sum(given.by_instrument.values(), D(0))
    scale = min(D(1), lim.portfolio.target_pct / total) if total else D(1)
    scaled = {i: w * scale for i, w in given.by_instrument.items()}
    return View(
        account=account,
        markets=found,
        weights=replace(given, by_instrument=scaled),
        margin_was_open=True,
        controls=on,
        now_ms=NOW,
        link_sound=True,
        risk=RiskContext(readable=True, exposure=exposure_of(found.values())),
    )


def margin_of(market: Market, units: Decimal | None = None) -> Decimal:
    """Margin of the holding, or of the given units; 0 without a price."""
    held = market.holding.managed + market.holding.manual if units is None else units
    return abs(held) * (market.margin_per_unit or D(0))


def applied(view: View, plan: Plan) -> View:
    """The view after every order of the plan was filled at mid, without costs."""
    orders: Mapping[str, Action] = {a.instrument: a for a in plan.actions}
    moved = {}
    for name, market in view.markets.items():
        held, order = market.holding, orders[name].order
        moved[name] = replace(market, holding=replace(held, managed=held.managed + order))
    used = sum((margin_of(m) for m in moved.values()), D(0))
    account = replace(view.account, margin_used=used, margin_available=view.account.nav - used)
    risk = replace(view.risk, exposure=exposure_of(moved.values()))
    return replace(
        view, account=account, markets=moved, margin_was_open=plan.margin_open, risk=risk
    )
