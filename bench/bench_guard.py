"""The guard's decisions, and the time from a new gates blob to the first order."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal

from sep_fx.sessions import SessionState
from sep_guard.domain.cycle import plan_cycle
from sep_guard.domain.entry_checks import check_entry
from sep_guard.domain.limits import Controls
from sep_guard.domain.market import Account, Bracket, Holding, Market, Quote, Signal, Weights
from sep_guard.domain.risk.context import RiskContext
from sep_guard.domain.view import View
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings

from bench.baseline import compare_decisions
from bench.blob_to_order import measure_orders
from bench.instruments import instrument
from bench.runner import Figure, Options, percentile_ms

TITLE = "guard: one entry check, a plan for 68 instruments, from blob to order"

_NOW = 1_700_000_000_000
_D = Decimal
_OPEN = SessionState(True, _NOW // 1000 + 86_400, None, ("London",))


def measure(options: Options) -> list[Figure]:
    """All figures of this suite."""
    against = [] if options.baseline is None else compare_decisions(options)
    return [*_decisions(options), *against, *asyncio.run(measure_orders(options))]


def _decisions(options: Options) -> list[Figure]:
    limits = load_settings(GuardSettings, {}).limits()
    view = _view(68)
    one = next(iter(view.markets.values()))
    rounds = 500 if options.quick else 5000
    checks = _times(lambda: check_entry(view, one, limits), rounds)
    plans = _times(lambda: plan_cycle(view, limits), rounds // 10)
    return [
        Figure("entry check without the network, p99", percentile_ms(checks, 99), "ms", 1.0,
               lower_is_better=True, note=f"p50 {percentile_ms(checks, 50):.3f} ms"),
        Figure("reconcile decision, 68 instruments, p99", percentile_ms(plans, 99), "ms", 20.0,
               lower_is_better=True, note=f"p50 {percentile_ms(plans, 50):.1f} ms"),
    ]  # fmt: skip


def _view(count: int) -> View:
    bracket = Bracket(stop=_D("0.0010"), take_profit=_D("0.0015"), max_spread=_D("0.0004"))
    signal = Signal(
        ended_ms=_NOW - 5_000,
        coherence=0.62,
        stability=0.9,
        entropy=0.7,
        rupture=0.1,
        direction=1,
        bracket=bracket,
        close=_D("1.1"),
        sigma_eff=_D("0.0001"),
    )
    quote = Quote(bid=_D("1.10000"), ask=_D("1.10012"), ts_ms=_NOW - 500, tradeable=True)
    names = [f"A{i:02d}_USD" for i in range(count)]
    markets = {
        n: Market(
            instrument=instrument(n),
            session=_OPEN,
            signal=signal,
            manifold_ms=_NOW - 1000,
            quote=quote,
            home_per_quote=_D(1),
            holding=Holding(),
            order_unknown=False,
            manifold_price=_D("1.1"),
        )
        for n in names
    }
    weights = Weights(
        ts=_NOW - 1000,
        gates_ts=_NOW - 2000,
        by_instrument=dict.fromkeys(names, _D("0.004")),
        held=False,
    )
    account = Account(
        balance=_D(100_000),
        nav=_D(100_000),
        margin_used=_D(0),
        margin_available=_D(100_000),
        last_transaction_id="7",
    )
    return View(
        account=account,
        markets=markets,
        weights=weights,
        margin_was_open=True,
        controls=Controls(kill_switch=False, read_only=False, live_allowed=True),
        now_ms=_NOW,
        link_sound=True,
        risk=RiskContext(readable=True),
    )


def _times(work: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return taken
