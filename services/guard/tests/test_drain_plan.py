"""Plans of a drain, over any account and holdings."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from sep_fx.instrument import Instrument
from sep_fx.sessions import SessionState
from sep_guard.domain.budget import Budget, budget_of, drain_budget_of
from sep_guard.domain.drain import DrainLimits, DrainReason, plan_drain
from sep_guard.domain.limits import PortfolioLimits
from sep_guard.domain.market import Account, Holding, Market, Quote

D = Decimal
BUDGET = Budget(total=D(3000), per_instrument=D(1000), ramp_step=D(750), ceiling=D(3000))
NO_BUFFER = DrainLimits(buffer=D(0), min_units=D(0))


def holding(name: str, managed: int, manual: int = 0, price: str = "1") -> Market:
    quote = Quote(bid=D(price), ask=D(price), ts_ms=0, tradeable=True)
    return Market(
        instrument=Instrument(
            name=name,
            display_precision=5,
            trade_units_precision=0,
            minimum_trade_size=D(1),
            margin_rate=D("0.02"),
        ),
        session=SessionState(True, None, None, ()),
        signal=None,
        manifold_ms=None,
        quote=quote,
        home_per_quote=D(1),
        holding=Holding(managed=D(managed), manual=D(manual)),
        order_unknown=False,
    )


def account(used: str) -> Account:
    return Account(
        balance=D(10_000), nav=D(10_000), margin_used=D(used), margin_available=D(10_000) - D(used)
    )


def test_exposure_within_the_caps_is_not_closed() -> None:
    plan = plan_drain(account("1000"), [holding("EUR_USD", 50_000)], BUDGET, NO_BUFFER)
    assert (plan.closes, plan.excess) == ((), D(0))


def test_an_instrument_over_its_cap_is_closed_down_to_it_manual_units_included() -> None:
    one = holding("EUR_USD", -40_000, -20_001)
    (close,) = plan_drain(account("1200.02"), [one], BUDGET, NO_BUFFER).closes
    assert (close.units, close.order) == (D(10_001), D(10_001))
    assert close.reason is DrainReason.OVER_INSTRUMENT_CAP


def test_the_total_is_closed_down_from_the_largest() -> None:
    cap = replace(BUDGET, per_instrument=D(5000))
    markets = [holding("EUR_USD", 150_000), holding("GBP_USD", 50_000)]
    (close,) = plan_drain(account("4000"), markets, cap, NO_BUFFER).closes
    assert (close.instrument, close.units, close.margin_freed) == ("EUR_USD", D(50_000), D(1000))
    assert close.reason is DrainReason.OVER_TOTAL_CAP


def test_the_buffer_tolerates_a_small_excess_and_min_units_skips_small_closes() -> None:
    one = holding("EUR_USD", 52_000)
    assert (
        plan_drain(
            account("1040"), [one], BUDGET, DrainLimits(buffer=D("0.05"), min_units=D(0))
        ).closes
        == ()
    )
    assert (
        plan_drain(
            account("1040"), [one], BUDGET, DrainLimits(buffer=D(0), min_units=D(2001))
        ).closes
        == ()
    )
    assert (
        len(
            plan_drain(
                account("1040"), [one], BUDGET, DrainLimits(buffer=D(0), min_units=D(2000))
            ).closes
        )
        == 1
    )


def test_an_instrument_without_a_price_is_left_to_the_next_plan() -> None:
    one = replace(holding("EUR_USD", 500_000), quote=None)
    assert plan_drain(account("10000"), [one], BUDGET, NO_BUFFER).closes == ()


@given(
    st.lists(st.tuples(st.integers(-300_000, 300_000), st.integers(-50_000, 50_000)), max_size=6),
    st.decimals("0", "0.5", places=2),
)
def test_after_a_drain_no_cap_is_exceeded_and_nothing_is_opened(
    units: list[tuple[int, int]], buffer: Decimal
) -> None:
    markets = [holding(f"AA{i}_USD", *u, price="1.3") for i, u in enumerate(units)]
    margins = {
        m.instrument.name: abs(m.holding.managed + m.holding.manual) * D("0.026") for m in markets
    }
    used = sum(margins.values(), D(0))
    plan = plan_drain(
        account(str(used)), markets, BUDGET, DrainLimits(buffer=buffer, min_units=D(0))
    )
    for close in plan.closes:
        assert 0 < close.units <= abs(close.current)
        assert close.order * close.current < 0
        margins[close.instrument] -= close.margin_freed
    assert all(m <= BUDGET.per_instrument * (1 + buffer) for m in margins.values())
    assert sum(margins.values(), D(0)) <= BUDGET.total * (1 + buffer)


@given(
    st.decimals(1_000, 1_000_000, places=2),
    st.decimals(D("0.01"), D("0.99"), places=2),
    st.decimals(-500, 500, places=2),
)
def test_a_drain_ends_within_the_cap_and_closes_no_more_than_it_has_to(
    nav: Decimal, share: Decimal, profit: Decimal
) -> None:
    """Freed margin raises the cap: the account after the drain is within its own cap."""
    limits = PortfolioLimits(
        top_k=1,
        target_pct=D("0.30"),
        max_per_position_pct=D(1),
        ramp_step_pct=D(1),
        rebalance_band=D(0),
        margin_low=D("0.25"),
        margin_high=D("0.30"),
        adopt_manual=False,
    )
    units = int(nav * share * 50)
    before = Account(
        balance=nav - profit,
        nav=nav,
        margin_used=D(units) / 50,
        margin_available=nav - D(units) / 50,
    )
    budget = drain_budget_of(before, limits)
    closes = plan_drain(before, [holding("EUR_USD", units)], budget, NO_BUFFER).closes
    used = before.margin_used - sum((c.margin_freed for c in closes), D(0))
    after = replace(before, margin_used=used, margin_available=nav - used)
    total = budget_of(after, limits).total
    assert used <= total + D("0.01")
    if closes:
        # At most a unit or two below the margin that may be in use now.
        assert used >= total - D("0.05")
