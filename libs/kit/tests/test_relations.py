"""What must hold between settings: environment and account, ages and intervals, safety."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sep_allocator.settings import AllocatorSettings
from sep_evaluator import settings
from sep_evaluator.domain import kernel
from sep_evaluator.settings import EvaluatorSettings
from sep_gateway.settings import GatewaySettings
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import InvalidSettingsError, ServiceSettings, check_settings
from sep_kit.settings.registry import all_settings, knob_groups

NONE = Path("/nonexistent")
TOKEN = {"OANDA_API_TOKEN": "token"}
PRACTICE_ACCOUNT, LIVE_ACCOUNT = "101-001-0000001-001", "001-001-0000001-001"
LOOPBACK = "http://127.0.0.1:18080"
PRACTICE_API, PRACTICE_STREAM = (
    "https://api-fxpractice.oanda.com",
    "https://stream-fxpractice.oanda.com",
)
LIVE_API, LIVE_STREAM = "https://api-fxtrade.oanda.com", "https://stream-fxtrade.oanda.com"
BROKER = {
    "paper": ("paper", LOOPBACK, LOOPBACK, PRACTICE_ACCOUNT),
    "practice": ("practice", PRACTICE_API, PRACTICE_STREAM, PRACTICE_ACCOUNT),
    "live": ("live", LIVE_API, LIVE_STREAM, LIVE_ACCOUNT),
}
NAMES = ("OANDA_ENVIRONMENT", "OANDA_API_URL", "OANDA_STREAM_URL", "OANDA_ACCOUNT_ID")


def seen(kind: type[ServiceSettings], environ: dict[str, str]) -> tuple[list[str], list[str]]:
    """Faults and warnings."""
    try:
        checked = check_settings(kind, environ, NONE)
    except InvalidSettingsError as error:
        return error.faults, []
    return [], [warning.text for warning in checked.warnings]


def of_broker(*values: str) -> list[str]:
    return seen(GatewaySettings, TOKEN | HALT_FOLDER | dict(zip(NAMES, values, strict=True)))[0]


def everything(environment: str, **changed: str) -> tuple[list[str], list[str]]:
    broker = dict(zip(NAMES, BROKER[environment], strict=True))
    return seen(all_settings(ServiceSettings), TOKEN | broker | HALT_FOLDER | changed)


HALT_FOLDER = {"KILL_SWITCH_DIR": "/state"}


@pytest.mark.parametrize("environment", ["paper", "practice", "live"])
def test_the_defaults_hold_in_every_environment(environment: str) -> None:
    assert everything(environment) == ([], [])


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (("paper", LIVE_API, LIVE_STREAM, LIVE_ACCOUNT), "OANDA_ENVIRONMENT=paper"),
        (("practice", LIVE_API, LIVE_STREAM, LIVE_ACCOUNT), "OANDA_ENVIRONMENT=practice"),
        (("paper", PRACTICE_API, PRACTICE_STREAM, PRACTICE_ACCOUNT), "OANDA_ENVIRONMENT=paper"),
        (("live", PRACTICE_API, PRACTICE_STREAM, PRACTICE_ACCOUNT), "OANDA_ENVIRONMENT=live"),
        (("live", LIVE_API, PRACTICE_STREAM, LIVE_ACCOUNT), f"OANDA_STREAM_URL={PRACTICE_STREAM}"),
        (("live", "http://api-fxtrade.oanda.com", LIVE_STREAM, LIVE_ACCOUNT), "need https"),
        (("practice", PRACTICE_API, PRACTICE_STREAM, LIVE_ACCOUNT), f"={LIVE_ACCOUNT}"),
        (("paper", LOOPBACK, LOOPBACK, LIVE_ACCOUNT), f"OANDA_ACCOUNT_ID={LIVE_ACCOUNT}"),
        (("live", LIVE_API, LIVE_STREAM, PRACTICE_ACCOUNT), f"={PRACTICE_ACCOUNT}"),
        (("live", "http://broker.example", "http://broker.example", LIVE_ACCOUNT), "need https"),
        (("paper", LOOPBACK, LIVE_STREAM, PRACTICE_ACCOUNT), f"OANDA_STREAM_URL={LIVE_STREAM}"),
        # A host is what a client connects to, however it is written.
        (("paper", "https://API-FXTRADE.oanda.com.:443", LOOPBACK, PRACTICE_ACCOUNT), "API-FX"),
        (("paper", "https://x@api-fxtrade.oanda.com", LOOPBACK, PRACTICE_ACCOUNT), "(secret)"),
        (("paper", "https://new-host.oanda.com", LOOPBACK, PRACTICE_ACCOUNT), "new-host"),
        (("paper", LOOPBACK, LOOPBACK, "002-001-0000001-001"), "002-001"),
    ],
)
def test_a_broker_at_odds_with_the_environment_stops_the_start(
    values: tuple[str, str, str, str], named: str
) -> None:
    faults = of_broker(*values)
    assert any(named in fault for fault in faults), faults


@pytest.mark.parametrize(
    "values",
    [
        *BROKER.values(),
        # A host that is not the broker's says nothing; the account does.
        ("practice", "https://proxy.example", "https://proxy.example", PRACTICE_ACCOUNT),
        ("live", "https://proxy.example:8443", LIVE_STREAM, LIVE_ACCOUNT),
    ],
)
def test_a_broker_that_agrees_with_the_environment_is_accepted(
    values: tuple[str, str, str, str],
) -> None:
    assert of_broker(*values) == []


@given(
    st.sampled_from(["paper", "practice", "live"]),
    st.sampled_from([LOOPBACK, PRACTICE_API, LIVE_API, "https://proxy.example"]),
    st.sampled_from([LOOPBACK, PRACTICE_STREAM, LIVE_STREAM, "https://proxy.example"]),
    st.sampled_from([PRACTICE_ACCOUNT, LIVE_ACCOUNT]),
)
def test_nothing_that_is_live_starts_under_another_name(
    environment: str, api: str, stream: str, account: str
) -> None:
    if of_broker(environment, api, stream, account):
        return
    is_live = api == LIVE_API or stream == LIVE_STREAM or account == LIVE_ACCOUNT
    assert is_live == (environment == "live")


def test_without_a_folder_an_engage_could_be_lost() -> None:
    environ = {"OANDA_ENVIRONMENT": "practice"}
    ((fault,), _) = seen(GuardSettings, environ)
    assert fault.startswith("KILL_SWITCH_DIR=unset: an engage while Valkey is away")


AT_ODDS = [
    ({"EVAL_INTERVAL_SEC": "600"}, "EVAL_INTERVAL_SEC=600, GATES_BLOB_MAX_AGE_SEC=180"),
    ({"ALLOC_INTERVAL_SEC": "600"}, "ALLOC_INTERVAL_SEC=600, GATES_BLOB_MAX_AGE_SEC=180"),
    ({"FRESH_MAX_WS_AGE_SEC": "4"}, "EVAL_MANIFOLD_INTERVAL_SEC=5, FRESH_MAX_WS_AGE_SEC=4"),
    ({"EVAL_SIGNAL_TTL_SEC": "60"}, "EVAL_SIGNAL_TTL_SEC=60, FRESH_MAX_SIGNAL_AGE_SEC=300"),
    ({"OANDA_STREAM_SILENCE_SEC": "3"}, "OANDA_STREAM_SILENCE_SEC=3: heartbeats come every 5 s"),
    ({"CANDLE_BACKFILL_DAYS": "5"}, "CANDLE_BACKFILL_DAYS=5, EVAL_LONG_RUN_DAYS=90"),
    ({"CANDLE_GRANULARITY": "D"}, "CANDLE_GRANULARITY=D, MARKET_CALENDAR=fx"),
    ({"CANDLE_POLL_SEC": "90"}, "CANDLE_POLL_SEC=90, CANDLE_GRANULARITY=M1"),
    # Ages count from a bar's end, so long bars leave a poll less time than a bar.
    (
        {"CANDLE_POLL_SEC": "300", "CANDLE_GRANULARITY": "M10"},
        "CANDLE_POLL_SEC=300, CANDLE_GRANULARITY=M10, FRESH_MAX_SIGNAL_AGE_SEC=300",
    ),
    (
        {"EVAL_SIGNAL_TTL_SEC": "3600", "CANDLE_GRANULARITY": "H4"},
        "EVAL_SIGNAL_TTL_SEC=3600, FRESH_MAX_SIGNAL_AGE_SEC=300, CANDLE_GRANULARITY=H4",
    ),
    (
        {"EVAL_LONG_RUN_DAYS": "2", "EVAL_SPAN_DAYS": "1", "CANDLE_GRANULARITY": "H1"},
        "EVAL_LONG_RUN_DAYS=2, CANDLE_GRANULARITY=H1: metrics begin after 69 bars",
    ),
    (
        {"PM_RECONCILE_SEC": "200", "SESSION_EXIT_MINUTES": "10"},
        "PM_RECONCILE_SEC=200, GATES_BLOB_MAX_AGE_SEC=180: managed units expire",
    ),
    ({"MARKET_CALENDAR": "24x7"}, "MARKET_CALENDAR=24x7"),
    ({"SESSION_TRADING_ENABLED": "0"}, "SESSION_TRADING_ENABLED=0"),
    ({"SESSION_EXIT_MINUTES": "0"}, "SESSION_EXIT_MINUTES=0"),
    ({"API_ACCESS": "open"}, "API_ACCESS=open"),
    ({"PM_RECONCILE_SEC": "151"}, "PM_RECONCILE_SEC=151, SESSION_EXIT_MINUTES=5"),
    (
        {"KILL_SWITCH": "0", "KILL_SWITCH_FORCE_ENV": "1"},
        "KILL_SWITCH_FORCE_ENV=1, KILL_SWITCH=0",
    ),
    ({"OANDA_TIMEOUT_SEC": "40"}, "OANDA_TIMEOUT_SEC=40: the guard waits 15 s for an order"),
    ({"ORDER_MAX_AGE_SEC": "0.01"}, "ORDER_MAX_AGE_SEC=0.01: an entry is on its way"),
    ({"RISK_MAX_DAILY_LOSS_PCT": "8"}, "RISK_MAX_DAILY_LOSS_PCT=8, RISK_MAX_DRAWDOWN_PCT=6"),
    (
        {"RISK_MAX_LOSS_PER_TRADE_PCT": "3"},
        "RISK_MAX_LOSS_PER_TRADE_PCT=3, RISK_MAX_DAILY_LOSS_PCT=2",
    ),
    (
        {"MARGIN_HYST_LOW": "0.1", "MARGIN_HYST_HIGH": "0.2"},
        "RISK_ALLOC_TARGET_PCT=0.30, MARGIN_HYST_HIGH=0.2: the margin gate closes before",
    ),
    ({"HYSTERESIS_PAIR_JSON": '{"XAU_USD":0.2}'}, "HYSTERESIS_PAIR_JSON="),
]


@pytest.mark.parametrize(("changed", "text"), AT_ODDS)
def test_settings_at_odds_warn_on_paper_and_stop_the_start_elsewhere(
    changed: dict[str, str], text: str
) -> None:
    faults, (warning,) = everything("paper", **changed)
    assert (faults, warning[: len(text)]) == ([], text)
    for environment in ("practice", "live"):
        (fault,), warnings = everything(environment, **changed)
        assert (fault, warnings) == (warning, [])


@pytest.mark.parametrize(
    ("kind", "changed", "text"),
    [
        # A setting of the gateway, and a default of it, seen by the evaluator.
        (EvaluatorSettings, {"CANDLE_BACKFILL_DAYS": "5"}, "CANDLE_BACKFILL_DAYS=5, EVAL_LONG"),
        (EvaluatorSettings, {"EVAL_LONG_RUN_DAYS": "200"}, "CANDLE_BACKFILL_DAYS=90, EVAL_LONG"),
        (AllocatorSettings, {"MARKET_CALENDAR": "24x7"}, "MARKET_CALENDAR=24x7"),
        (GuardSettings, {"PM_RECONCILE_SEC": "151"}, "PM_RECONCILE_SEC=151"),
    ],
)
def test_a_service_checks_what_it_can_see(
    kind: type[ServiceSettings], changed: dict[str, str], text: str
) -> None:
    ((fault,), _) = seen(kind, {"OANDA_ENVIRONMENT": "practice", **HALT_FOLDER, **changed})
    assert fault.startswith(text)


def test_the_first_window_is_the_kernels() -> None:
    assert settings.FIRST_WINDOW == kernel.FIRST_WINDOW


def test_every_relation_names_settings_that_exist() -> None:
    fields = set(all_settings(ServiceSettings).model_fields)
    relations = [r for group in knob_groups() for r in vars(group).get("relations", ())]
    assert relations
    for relation in relations:
        assert set(relation.names) <= fields, relation
