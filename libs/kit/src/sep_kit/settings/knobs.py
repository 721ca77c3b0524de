"""Every knob of the stack, grouped by what it is about; a service inherits the groups it reads.

A knob keeps one name everywhere: the field in lower case is the variable in upper case.
"""

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Field, Json, SecretStr
from pydantic_settings import NoDecode
from sep_fx.granularity import Granularity
from sep_fx.instrument import is_instrument_name
from sep_fx.sessions import MarketCalendar

from sep_kit.logging import LogFormat

Seconds = Annotated[float, Field(gt=0, le=86_400 * 400, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+:\d{1,5}$")]


class OandaEnvironment(StrEnum):
    """What stands behind the broker's URL."""

    PAPER = "paper"
    PRACTICE = "practice"
    LIVE = "live"


def _parse_pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [p.strip() for p in value.split(",")]
    bad = [p for p in pairs if not is_instrument_name(p)]
    if bad:
        raise ValueError(f"{', '.join(map(repr, bad))} is no instrument name like EUR_USD")
    if len(set(pairs)) != len(pairs):
        raise ValueError("an instrument is named twice")
    return tuple(pairs)


class ConnectionKnobs(BaseModel):
    """Where the parts are and how they log."""

    valkey_url: str = Field("redis://127.0.0.1:16379/0", pattern=r"^(redis|rediss|valkey|unix)://")
    gateway_addr: Address = "127.0.0.1:15051"
    evaluator_addr: Address = "127.0.0.1:15052"
    allocator_addr: Address = "127.0.0.1:15053"
    guard_addr: Address = "127.0.0.1:15054"
    grpc_listen: Address | None = None
    log_format: LogFormat = LogFormat.JSON
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    def peers(self) -> dict[str, str]:
        """Address of each service by name."""
        return {
            "gateway": self.gateway_addr,
            "evaluator": self.evaluator_addr,
            "allocator": self.allocator_addr,
            "guard": self.guard_addr,
        }


class MarketKnobs(BaseModel):
    """What is traded, and when."""

    hotband_pairs: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_pairs)] = (
        "EUR_USD",
        "USD_JPY",
        "GBP_USD",
        "EUR_JPY",
        "USD_CAD",
        "NZD_USD",
        "AUD_USD",
        "USD_CHF",
    )
    candle_granularity: Granularity = Granularity.M1
    market_calendar: MarketCalendar = MarketCalendar.FX
    session_trading_enabled: bool = True
    session_exit_minutes: float = Field(5, ge=0, le=240, allow_inf_nan=False)


class FreshnessKnobs(BaseModel):
    """How old a thing may be before it is no longer trusted."""

    fresh_max_signal_age_sec: Seconds = 300
    fresh_max_ws_age_sec: Seconds = 30
    gates_blob_max_age_sec: Seconds = 180


class ThresholdKnobs(BaseModel):
    """Live thresholds of an entry."""

    guard_min_coherence: float = Field(0.55, ge=0.55, le=1, allow_inf_nan=False)
    auto_max_rupture: Share = 0.60
    auto_max_entropy: Share = 0.75
    auto_min_stability: Share = 0.40
    max_spread_bps: Decimal = Field(Decimal("3.0"), gt=0, le=1000)


class AllocationKnobs(BaseModel):
    """How much may be allocated; allocator and guard must agree on it."""

    alloc_top_k: int = Field(3, ge=1, le=100)
    risk_alloc_target_pct: Decimal = Field(Decimal("0.30"), gt=0, le=Decimal("0.30"))
    pm_max_per_pos_pct: Decimal = Field(Decimal("0.35"), gt=0, le=1)


class AllocatorKnobs(BaseModel):
    """The allocator's cadence and score."""

    alloc_interval_sec: Seconds = 60
    alloc_score_weight_coherence: Finite = 0.6
    alloc_score_weight_stability: Finite = 0.2
    alloc_score_weight_rupture: Finite = 0.15
    alloc_score_weight_entropy: Finite = 0.05
    alloc_score_weight_hazard: Finite = 0.0


class EvaluatorKnobs(BaseModel):
    """The evaluator's cadence, spans, floors and hysteresis."""

    eval_interval_sec: Seconds = 60
    eval_span_days: int = Field(30, ge=1, le=400)
    eval_long_run_days: int = Field(90, ge=1, le=400)
    eval_min_trades: int = Field(10, ge=1, le=1_000_000)
    eval_calmar_min: float = Field(0.15, ge=0, allow_inf_nan=False)
    eval_pnl_min: float = Field(0.0, ge=0, allow_inf_nan=False)
    eval_manifold_interval_sec: float = Field(5, gt=0, le=10, allow_inf_nan=False)
    eval_signal_ttl_sec: Seconds = 3 * 86_400
    hysteresis_default: Finite = 0.10
    hysteresis_pair_json: Annotated[Json[dict[str, Finite]], NoDecode] = Field(
        default_factory=dict, validate_default=False
    )

    def contradictions(self) -> Iterator[str]:
        """Faults that no single knob shows."""
        if self.eval_span_days > self.eval_long_run_days:
            yield (
                f"EVAL_SPAN_DAYS {self.eval_span_days} is above "
                f"EVAL_LONG_RUN_DAYS {self.eval_long_run_days}; a slice lies inside the long run"
            )


class GuardKnobs(BaseModel):
    """How the guard moves positions."""

    pm_ramp_step_pct: Decimal = Field(Decimal("0.25"), gt=0, le=1)
    pm_rebalance_band: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    pm_reconcile_sec: Seconds = 30
    pm_adopt_manual: bool = False
    margin_hyst_low: Decimal = Field(Decimal("0.25"), gt=0, lt=1)
    margin_hyst_high: Decimal = Field(Decimal("0.30"), gt=0, lt=1)

    def contradictions(self) -> Iterator[str]:
        """Faults that no single knob shows."""
        if self.margin_hyst_low > self.margin_hyst_high:
            yield (
                f"MARGIN_HYST_LOW {self.margin_hyst_low} is above "
                f"MARGIN_HYST_HIGH {self.margin_hyst_high}; low must not exceed high"
            )


class SafetyKnobs(BaseModel):
    """What the stack is allowed to do."""

    kill_switch: bool = True
    kill_switch_force_env: bool = False
    read_only: bool = False
    live_trading_enabled: bool = False
    oanda_environment: OandaEnvironment = OandaEnvironment.PAPER


class BrokerKnobs(BaseModel):
    """How to reach the broker; only the gateway reads these."""

    oanda_api_url: str = Field("http://127.0.0.1:18080", pattern=r"^https?://")
    oanda_stream_url: str = Field("http://127.0.0.1:18080", pattern=r"^https?://")
    oanda_api_token: SecretStr
    oanda_account_id: str = Field(
        "101-001-0000001-001", pattern=r"^[0-9]{3}-[0-9]{3}-[0-9]+-[0-9]{3}$"
    )
    oanda_timeout_sec: float = Field(5, gt=0, le=60, allow_inf_nan=False)
    # The broker sends a heartbeat every five seconds.
    oanda_stream_silence_sec: float = Field(12, gt=0, le=60, allow_inf_nan=False)
    candle_poll_sec: float | None = Field(None, gt=0, le=3600, allow_inf_nan=False)
    candle_backfill_days: float = Field(90, gt=0, le=400, allow_inf_nan=False)


ALL_GROUPS: tuple[type[BaseModel], ...] = (
    ConnectionKnobs,
    MarketKnobs,
    FreshnessKnobs,
    ThresholdKnobs,
    AllocationKnobs,
    AllocatorKnobs,
    EvaluatorKnobs,
    GuardKnobs,
    SafetyKnobs,
    BrokerKnobs,
)


def all_names() -> list[str]:
    """Every knob's field name."""
    return [name for group in ALL_GROUPS for name in group.model_fields]
