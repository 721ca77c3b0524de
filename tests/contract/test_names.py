"""Settings and Valkey keys have their documented names and defaults."""

import ast
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sep_allocator.settings import AllocatorSettings
from sep_evaluator.settings import EvaluatorSettings
from sep_gateway.settings import GatewaySettings
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings
from sep_kit.store import keys

from tests.contract.sources import Source, sources

KNOBS = {
    "ALLOC_TOP_K": "3",
    "ALLOC_INTERVAL_SEC": "60",
    "RISK_ALLOC_TARGET_PCT": "0.30",
    "PM_MAX_PER_POS_PCT": "0.35",
    "PM_RAMP_STEP_PCT": "0.25",
    "EVAL_INTERVAL_SEC": "60",
    "GATES_BLOB_MAX_AGE_SEC": "180",
    "SESSION_EXIT_MINUTES": "5",
    "HYSTERESIS_DEFAULT": "0.10",
    "EVAL_SPAN_DAYS": "30",
    "EVAL_LONG_RUN_DAYS": "90",
    "FRESH_MAX_SIGNAL_AGE_SEC": "300",
    "FRESH_MAX_WS_AGE_SEC": "30",
    "MAX_SPREAD_BPS": "3.0",
    "MARGIN_HYST_LOW": "0.25",
    "MARGIN_HYST_HIGH": "0.30",
    "KILL_SWITCH": "1",
    "READ_ONLY": "0",
    "GUARD_MIN_COHERENCE": "0.55",
    "AUTO_MAX_RUPTURE": "0.60",
    "AUTO_MAX_ENTROPY": "0.75",
    "AUTO_MIN_STABILITY": "0.40",
    # Named in the rules of the specification rather than in its table of settings.
    "EVAL_MIN_TRADES": "10",
    "EVAL_CALMAR_MIN": "0.15",
    "EVAL_PNL_MIN": "0",
    "PM_RECONCILE_SEC": "30",
    "PM_REBALANCE_BAND": "0.10",
    "PM_ADOPT_MANUAL": "0",
    "SESSION_TRADING_ENABLED": "1",
    "KILL_SWITCH_FORCE_ENV": "0",
    "ALLOC_SCORE_WEIGHT_COHERENCE": "0.6",
    "ALLOC_SCORE_WEIGHT_STABILITY": "0.2",
    "ALLOC_SCORE_WEIGHT_RUPTURE": "0.15",
    "ALLOC_SCORE_WEIGHT_ENTROPY": "0.05",
    "ALLOC_SCORE_WEIGHT_HAZARD": "0",
}
PAIRS = "EUR_USD,USD_JPY,GBP_USD,EUR_JPY,USD_CAD,NZD_USD,AUD_USD,USD_CHF"


class AllSettings(  # type: ignore[misc]  # limits() differs
    AllocatorSettings,
    EvaluatorSettings,
    GuardSettings,
    GatewaySettings,
):
    """The settings of all services."""


@pytest.fixture(scope="module")
def defaults() -> AllSettings:
    return load_settings(AllSettings, {"OANDA_API_TOKEN": "x"}, Path("/nonexistent"))


@pytest.mark.parametrize(("name", "default"), KNOBS.items())
def test_a_documented_knob_has_its_documented_default(
    defaults: AllSettings, name: str, default: str
) -> None:
    value = getattr(defaults, name.lower())
    assert Decimal(str(int(value) if isinstance(value, bool) else value)) == Decimal(default)


def test_default_pairs_calendar_and_hysteresis_are_the_documented_ones(
    defaults: AllSettings,
) -> None:
    assert defaults.hotband_pairs == tuple(PAIRS.split(","))
    assert defaults.hysteresis_pair_json == {}
    assert defaults.market_calendar == "fx"


def test_a_documented_default_is_an_allowed_value() -> None:
    environ = {**KNOBS, "HOTBAND_PAIRS": PAIRS, "HYSTERESIS_PAIR_JSON": "{}",
               "OANDA_API_TOKEN": "x"}  # fmt: skip
    load_settings(AllSettings, environ, Path("/nonexistent"))


KEYS: dict[str, Callable[[], str]] = {
    "md:candles:EUR_USD:M1": lambda: keys.candles("EUR_USD", "M1"),
    "sep:signal_index:EUR_USD": lambda: keys.signal_index("EUR_USD"),
    "sep:signal:EUR_USD:1700000000000000000": lambda: keys.signal("EUR_USD", 17 * 10**17),
    "ws:last:manifold:EUR_USD": lambda: keys.manifold("EUR_USD"),
    "ws:manifold": lambda: keys.MANIFOLD_CHANNEL,
    "opt:rolling:gates_blob": lambda: keys.GATES_BLOB,
    "opt:rolling:cooldown:EUR_USD": lambda: keys.cooldown("EUR_USD"),
    "opt:rolling:eligible:EUR_USD": lambda: keys.gate_memory("eligible", "EUR_USD"),
    "opt:rolling:passes:EUR_USD": lambda: keys.gate_memory("passes", "EUR_USD"),
    "opt:rolling:fails:EUR_USD": lambda: keys.gate_memory("fails", "EUR_USD"),
    "opt:rolling:misses:EUR_USD": lambda: keys.gate_memory("misses", "EUR_USD"),
    "bt:rolling:summary:EUR_USD": lambda: keys.backtest_summary("EUR_USD"),
    "bt:rolling:hist:EUR_USD": lambda: keys.backtest_history("EUR_USD"),
    "risk:allocation_weights": lambda: keys.ALLOCATION_WEIGHTS,
    "risk:alloc_budget": lambda: keys.ALLOC_BUDGET,
    "ops:kill_switch": lambda: keys.KILL_SWITCH,
    "guard:decisions": lambda: keys.GUARD_DECISIONS,
}


@pytest.mark.parametrize("key", KEYS)
def test_a_public_key_keeps_its_name(key: str) -> None:
    assert KEYS[key]() == key


_KEY = re.compile(r"(md|opt|bt|ops|risk|guard|ws|sep):[a-z_]+(:|$)")


def docstrings(source: Source) -> set[ast.expr]:
    """Docstrings and other strings that are statements."""
    return {node.value for node in ast.walk(source.tree) if isinstance(node, ast.Expr)}


def test_key_names_are_defined_in_one_module() -> None:
    folders = ("libs", "services", "simulators", "tools")
    everything = [source for folder in folders for source in sources(folder)]
    elsewhere = [
        f"{source.module}:{node.lineno} {node.value!r}"
        for source in everything
        if source.module != "sep_kit.store.keys"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _KEY.match(node.value)
        and node not in docstrings(source)
    ]
    assert elsewhere == []
