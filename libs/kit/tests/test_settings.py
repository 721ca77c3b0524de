import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from sep_allocator.settings import AllocatorSettings
from sep_evaluator.settings import EvaluatorSettings
from sep_gateway.settings import GatewaySettings
from sep_guard.settings import GuardSettings
from sep_journal.settings import JournalSettings
from sep_kit.settings.fields import Knobs
from sep_kit.settings.loading import (
    EX_CONFIG,
    InvalidSettingsError,
    ServiceSettings,
    check_settings,
    check_settings_or_exit,
    load_settings,
    unknown_name,
)
from sep_kit.settings.names import unknown_names
from sep_kit.settings.registry import all_settings, knob_groups, own_fields
from sep_kit.settings.shared.allocation import AllocationKnobs
from sep_kit.settings.shared.safety import OandaEnvironment

NONE = Path("/nonexistent")
TOKEN = "s3cr3t-t0ken"
ALWAYS = {"OANDA_API_TOKEN": TOKEN, "KILL_SWITCH_DIR": "/state"}


class AllSettings(  # type: ignore[misc]  # limits() differs
    AllocatorSettings, EvaluatorSettings, GatewaySettings, GuardSettings, JournalSettings
):
    """Every setting at once."""


def all_names() -> list[str]:
    """Every registered field."""
    return [name for group in knob_groups() for name in own_fields(group)]


def load(secrets: Path = NONE, /, **environ: str) -> AllSettings:
    return load_settings(AllSettings, {**ALWAYS, **environ}, secrets)


def faults(secrets: Path = NONE, /, **environ: str) -> list[str]:
    with pytest.raises(InvalidSettingsError) as refusal:
        load(secrets, **environ)
    return refusal.value.faults


def warnings(**environ: str) -> list[str]:
    checked = check_settings(AllSettings, {**ALWAYS, **environ}, NONE)
    return [warning.text for warning in checked.warnings]


LIVE = {
    "OANDA_ENVIRONMENT": "live",
    "OANDA_ACCOUNT_ID": "001-001-0000001-001",
    "OANDA_API_URL": "https://api-fxtrade.oanda.com",
    "OANDA_STREAM_URL": "https://stream-fxtrade.oanda.com",
}


def test_every_setting_is_registered_once() -> None:
    names = all_names()
    assert len(names) == len(set(names))
    assert set(AllSettings.model_fields) == set(names)
    assert set(all_settings(ServiceSettings).model_fields) == set(names)


def test_a_class_registers_the_fields_that_it_declares_itself() -> None:
    class Base(Knobs):
        """Base."""

        a: int = 1

    class Derived(Base):
        """Derived."""

        b: int = 2

    assert (own_fields(Base), own_fields(Derived)) == (["a"], ["b"])


def test_defaults_are_safe() -> None:
    settings = load()
    assert settings.kill_switch
    assert not settings.live_trading_enabled
    assert settings.oanda_environment is OandaEnvironment.PAPER


def test_values_are_typed() -> None:
    settings = load(
        KILL_SWITCH="0",
        HOTBAND_PAIRS="EUR_USD, USD_JPY",
        HYSTERESIS_PAIR_JSON='{"EUR_USD": 0.2}',
        RISK_ALLOC_TARGET_PCT="0.1",
        CANDLE_GRANULARITY="S5",
        MARKET_CALENDAR="24x7",
    )
    assert settings.kill_switch is False
    assert settings.hotband_pairs == ("EUR_USD", "USD_JPY")
    assert settings.hysteresis_pair_json == {"EUR_USD": 0.2}
    assert str(settings.risk_alloc_target_pct) == "0.1"
    assert (settings.candle_granularity.seconds, settings.market_calendar) == (5, "24x7")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().read_only = True


def test_only_the_given_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOC_TOP_K", "7")
    assert load().alloc_top_k == 3


def test_the_process_environment_counts_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALLOC_TOP_K", "7")
    monkeypatch.setenv("OANDA_API_TOKEN", TOKEN)
    assert load_settings(AllSettings, secrets=NONE).alloc_top_k == 7


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("ALLOC_TOPK", "ALLOC_TOP_K"),
        ("GUARD_MIN_COHERENC", "GUARD_MIN_COHERENCE"),
        # Also with the typo in the first word.
        ("ALOC_TOP_K", "ALLOC_TOP_K"),
        ("HOTBAND_PAIR", "HOTBAND_PAIRS"),
        ("VALKEY_URI", "VALKEY_URL"),
    ],
)
def test_a_name_close_to_a_setting_is_a_warning_with_a_suggestion(
    name: str, suggestion: str
) -> None:
    text = f"{name}: is not a setting of this stack; did you mean {suggestion}?"
    assert warnings(**{name: "1"}) == [text]


@pytest.mark.parametrize("name", ["ALLOC_TOPK", "VALKEY_URI", "LOGLEVEL"])
def test_a_name_close_to_a_setting_is_a_fault_on_live(name: str) -> None:
    assert faults(**{name: "1"}, **LIVE)[0].startswith(f"{name}: is not a setting of this stack")


def test_in_an_env_file_of_ours_every_unknown_name_is_a_fault() -> None:
    assert unknown_names(["ALLOC_TOP_K", "PM_XYZZY", "HTTP_PORT"], ["HTTP_PORT"]) == ["PM_XYZZY"]
    assert unknown_name("PM_XYZZY_QWERTY") == "PM_XYZZY_QWERTY: is not a setting of this stack"


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "HOME",
        "SESSION_MANAGER",
        "PM_ID",
        "GUARD_METRICS_SERVICE_HOST",
        "LOG_DIR",
        "GRPC_VERBOSITY",
        "VALKEY_PORT",
        "GUARD_PORT",
        "GUARD_PORT_15054_TCP_ADDR",
        "EVALUATOR_SERVICE_HOST",
        "PAPER_SEED",
        "SEP_RUN_DIR",
        "HTTP_BIND",
    ],
)
def test_names_of_other_programs_are_ignored_on_live_too(name: str) -> None:
    assert warnings(**{name: "1"}) == []
    load(**{name: "1"}, **LIVE)


MALFORMED = [
    ("ALLOC_TOP_K", "three", "valid integer"),
    ("ALLOC_TOP_K", "", "valid integer"),
    ("ALLOC_TOP_K", "0", "greater than or equal to 1"),
    ("KILL_SWITCH", "", "valid boolean"),
    ("KILL_SWITCH", "maybe", "valid boolean"),
    ("EVAL_INTERVAL_SEC", "0", "greater than 0"),
    ("EVAL_INTERVAL_SEC", "-5", "greater than 0"),
    ("GUARD_MIN_COHERENCE", "0.5", "greater than or equal to 0.55"),
    ("RISK_ALLOC_TARGET_PCT", "0.31", "less than or equal to 0.3"),
    ("PM_MAX_PER_POS_PCT", "1.01", "less than or equal to 1"),
    ("SESSION_EXIT_MINUTES", "-1", "greater than or equal to 0"),
    ("MARGIN_HYST_HIGH", "1", "less than 1"),
    ("MAX_SPREAD_BPS", "wide", "valid decimal"),
    ("HOTBAND_PAIRS", "EUR_USD,eurjpy", "'eurjpy' is not an instrument name like EUR_USD"),
    ("HOTBAND_PAIRS", "", "'' is not an instrument name like EUR_USD"),
    ("HOTBAND_PAIRS", "EUR_USD,EUR_USD", "an instrument is named twice"),
    ("HYSTERESIS_PAIR_JSON", "{", "Invalid JSON"),
    ("HYSTERESIS_PAIR_JSON", "[]", "valid dictionary"),
    ("HYSTERESIS_PAIR_JSON", '{"EUR_USD": "wide"}', "valid number"),
    ("HYSTERESIS_PAIR_JSON", '{"EUR_USD": NaN}', "finite number"),
    ("HYSTERESIS_PAIR_JSON", '{"EURUSD": 0.1}', "is not an instrument name"),
    ("CANDLE_GRANULARITY", "W", "Input should be 'S5'"),
    ("MARKET_CALENDAR", "nyse", "Input should be 'fx' or '24x7'"),
    ("OANDA_ENVIRONMENT", "prod", "Input should be 'paper', 'practice' or 'live'"),
    ("OANDA_ACCOUNT_ID", "1", "should match pattern"),
    ("OANDA_API_URL", "ftp://x", "should match pattern"),
    ("GUARD_ADDR", "guard", "should match pattern"),
    ("GUARD_ADDR", "guard:99999", "the port is above 65535"),
    ("LOG_LEVEL", "LOUD", "should match pattern"),
]


@pytest.mark.parametrize(("name", "value", "allowed"), MALFORMED)
def test_a_malformed_value_is_reported_with_its_name_and_what_is_allowed(
    name: str, value: str, allowed: str
) -> None:
    (fault,) = faults(**{name: value})
    assert fault.startswith(f"{name} = {value!r}: ")
    assert allowed in fault


NUMBERS = [name for name, info in AllSettings.model_fields.items()
           if any(n in str(info.annotation) for n in ("float", "Decimal", "int"))
           and "dict" not in str(info.annotation)]  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_must_be_finite(name: str, value: str) -> None:
    (fault,) = faults(**{name.upper(): value})
    assert fault.startswith(f"{name.upper()} = {value!r}: ")


def test_hysteresis_accepts_values_that_the_evaluator_clamps() -> None:
    """A value outside [0, 0.30] is not a fault: the evaluator clamps and logs it."""
    settings = load(HYSTERESIS_DEFAULT="0.9", HYSTERESIS_PAIR_JSON='{"EUR_USD": -1}')
    assert (settings.hysteresis_default, settings.hysteresis_pair_json["EUR_USD"]) == (0.9, -1)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("GUARD_MIN_COHERENCE", "0.55", "1"),
        ("AUTO_MAX_RUPTURE", "0", "1"),
        ("AUTO_MAX_ENTROPY", "0", "1"),
        ("AUTO_MIN_STABILITY", "0", "1"),
        ("ALLOC_TOP_K", "1", "100"),
        ("SESSION_EXIT_MINUTES", "0", "240"),
        ("EVAL_LONG_RUN_DAYS", "30", "400"),
    ],
)
def test_the_bounds_of_a_range_are_allowed(name: str, lowest: str, highest: str) -> None:
    for value in (lowest, highest):
        load(**{name: value})


def test_all_faults_are_listed_at_once() -> None:
    found = faults(
        **LIVE,
        ALLOC_TOPK="3",
        ALLOC_TOP_K="x",
        READ_ONLY="?",
        MARGIN_HYST_LOW="0.4",
        EVAL_SPAN_DAYS="91",
        CANDLE_BACKFILL_DAYS="5",
    )
    assert sorted(re.split("[:= ]", f)[0] for f in found) == [
        "ALLOC_TOPK",
        "ALLOC_TOP_K",
        "CANDLE_BACKFILL_DAYS",
        "EVAL_SPAN_DAYS",
        "MARGIN_HYST_LOW",
        "READ_ONLY",
    ]


def test_every_contradiction_is_listed() -> None:
    assert faults(MARGIN_HYST_LOW="0.4", EVAL_SPAN_DAYS="91") == [
        "EVAL_SPAN_DAYS=91, EVAL_LONG_RUN_DAYS=90: a slice must not be longer than the long run",
        "MARGIN_HYST_LOW=0.4, MARGIN_HYST_HIGH=0.30: low must not exceed high",
    ]


def test_a_malformed_value_is_not_reported_as_a_contradiction_too() -> None:
    (fault,) = faults(MARGIN_HYST_LOW="x", MARGIN_HYST_HIGH="0.1")
    assert fault.startswith("MARGIN_HYST_LOW = 'x'")


def test_a_contradiction_is_refused_by_direct_validation_too() -> None:
    with pytest.raises(ValidationError, match=r"MARGIN_HYST_LOW=0\.4, MARGIN_HYST_HIGH=0\.30"):
        AllSettings.model_validate({"oanda_api_token": TOKEN, "margin_hyst_low": "0.4"})


def test_equal_bounds_do_not_contradict() -> None:
    load(MARGIN_HYST_LOW="0.3", MARGIN_HYST_HIGH="0.3", EVAL_SPAN_DAYS="90")


def test_a_setting_without_a_default_must_be_set() -> None:
    with pytest.raises(InvalidSettingsError) as refusal:
        load_settings(AllSettings, {}, NONE)
    assert refusal.value.faults == ["OANDA_API_TOKEN: is not set and has no default"]


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "oanda_api_token").write_text(f"{TOKEN}\n")
    settings = load_settings(AllSettings, {}, tmp_path)
    assert settings.oanda_api_token.get_secret_value() == TOKEN


def test_a_secret_file_may_be_named_as_the_variable(tmp_path: Path) -> None:
    (tmp_path / "OANDA_API_TOKEN").write_text(TOKEN)
    assert load_settings(AllSettings, {}, tmp_path).oanda_api_token.get_secret_value() == TOKEN


def test_the_environment_takes_precedence_over_a_secret_file(tmp_path: Path) -> None:
    (tmp_path / "oanda_api_token").write_text("other")
    assert load(tmp_path).oanda_api_token.get_secret_value() == TOKEN


def test_an_unreadable_secret_file_is_a_fault_without_its_content(
    tmp_path: Path,
) -> None:
    (tmp_path / "oanda_api_token").write_bytes(b"\xff\xfe" + TOKEN.encode())
    with pytest.raises(InvalidSettingsError) as refusal:
        load_settings(AllSettings, {}, tmp_path)
    assert any("can't be read from" in f and "not UTF-8" in f for f in refusal.value.faults)
    assert TOKEN not in str(refusal.value)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda folder: {"ALLOC_TOP_K": "x"},
        lambda folder: {"OANDA_API_TOKE": TOKEN, **LIVE},
        lambda folder: {"VALKEY_URL": f"http://user:{TOKEN}@valkey:6379"},
        lambda folder: {"VALKEY_URL": f"user:{TOKEN}@valkey:6379"},
        lambda folder: {"VALKEY_URL": f"http://valkey:6379?password={TOKEN}"},
        lambda folder: {"ALLOC_TOP_K": "x"} if (folder / "alloc_interval_sec").write_text(TOKEN)
        else {},
    ],
)  # fmt: skip
def test_secrets_are_never_shown(
    tmp_path: Path, break_it: Callable[[Path], dict[str, str]]
) -> None:
    with pytest.raises(InvalidSettingsError) as refusal:
        load(tmp_path, **break_it(tmp_path))
    error = refusal.value
    shown = [str(error), repr(error), *error.faults, repr(error.__cause__), repr(error.__context__)]
    assert not any(TOKEN in text for text in shown)


def test_settings_themselves_do_not_show_secrets() -> None:
    settings = load()
    assert TOKEN not in f"{settings!r} {settings} {settings.model_dump()}"


def test_faults_go_to_stderr_with_exit_code_78(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ALLOC_TOP_K", "x")
    monkeypatch.setenv("READ_ONLY", "?")
    monkeypatch.setenv("OANDA_API_TOKEN", TOKEN)
    with pytest.raises(SystemExit) as stop:
        check_settings_or_exit(AllSettings)
    assert stop.value.code == EX_CONFIG == 78
    out, err = capsys.readouterr()
    assert out == ""
    assert "ALLOC_TOP_K = 'x'" in err
    assert "READ_ONLY = '?'" in err
    assert TOKEN not in err


@given(st.dictionaries(st.sampled_from(sorted(n.upper() for n in all_names())),
                       st.text(st.characters(exclude_categories=["Cs"]), max_size=12)))  # fmt: skip
def test_any_environment_gives_settings_or_a_list_of_faults(environ: dict[str, str]) -> None:
    try:
        settings = load(**environ)
    except InvalidSettingsError:
        return
    numbers = [v for v in settings.model_dump().values() if isinstance(v, float)]
    assert all(math.isfinite(n) for n in numbers)


def test_a_service_reads_its_own_settings_and_ignores_those_of_others() -> None:
    class Small(AllocationKnobs, ServiceSettings):
        """A service that reads the allocation limits."""

    assert issubclass(Small, BaseModel)
    small = load_settings(Small, {"ALLOC_TOP_K": "2", "EVAL_SPAN_DAYS": "x"}, NONE)
    assert small.alloc_top_k == 2
    assert not hasattr(small, "eval_span_days")


@pytest.mark.parametrize("token", ["hunter2\n", "hunter2 hunter2", "hünter2", "hunter2\x00", " "])
def test_a_token_that_is_not_valid_in_a_header_is_refused_and_not_shown(token: str) -> None:
    (fault,) = faults(OANDA_API_TOKEN=token)
    assert "OANDA_API_TOKEN" in fault
    assert "printable ASCII" in fault
    assert "nter2" not in fault
