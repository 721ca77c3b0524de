"""Every knob of the stack, grouped by what it is about; a service inherits the groups it reads.

A knob keeps one name everywhere: the field in lower case is the variable in upper case.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    Json,
    SecretStr,
)
from sep_fx.granularity import Granularity
from sep_fx.instrument import is_instrument_name
from sep_fx.sessions import MarketCalendar

from sep_kit.grpc.access import Reads
from sep_kit.grpc.tls import TlsFiles
from sep_kit.logging import LogFormat

Seconds = Annotated[float, Field(gt=0, le=86_400 * 400, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _check_token(token: SecretStr) -> SecretStr:
    # Whoever finds out only when the request is sent tells the whole header in the error.
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces, and not empty")
    return token


def _check_port(address: str) -> str:
    if int(address.rpartition(":")[2]) > 65_535:
        raise ValueError("the port is above 65535")
    return address


Address = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_.\-]+:[0-9]{1,5}$"), AfterValidator(_check_port)
]


class ApiAccess(StrEnum):
    """Whether keys are asked for."""

    KEYS = "keys"
    OPEN = "open"


class OandaEnvironment(StrEnum):
    """What stands behind the broker's URL."""

    PAPER = "paper"
    PRACTICE = "practice"
    LIVE = "live"


def _check_name(name: str) -> str:
    if not is_instrument_name(name):
        raise ValueError(f"{name!r} is no instrument name like EUR_USD")
    return name


InstrumentName = Annotated[str, AfterValidator(_check_name)]


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


class Knobs(BaseModel):
    """Base of the groups; the text under a knob is its description on the settings page."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class AccessKnobs(Knobs):
    """Who may call, and how long an answer holds."""

    api_access: ApiAccess = ApiAccess.KEYS
    """`keys`: writing needs a key of API_KEYS_DIR. `open`: whoever reaches the port may write."""
    api_keys_dir: Path | None = None
    """Folder of keys (`write`, `write.NAME`, `read.NAME`, `internal`), read when it changes."""
    api_reads: Reads = Reads.OPEN
    """`key`: reading needs a key too, of any kind."""
    api_keep_answers: bool = True
    """`0` answers every call afresh, also where an answer may be a second old."""


class TlsKnobs(Knobs):
    """Mutual TLS between the services; all three files or none."""

    grpc_tls_cert: FilePath | None = None
    """Certificate of this service, with the DNS name `sep`."""
    grpc_tls_key: FilePath | None = None
    """Its key."""
    grpc_tls_ca: FilePath | None = None
    """Authority that signed the certificates of all services."""

    def tls(self) -> TlsFiles | None:
        """The files; None without TLS."""
        if not (self.grpc_tls_cert and self.grpc_tls_key and self.grpc_tls_ca):
            return None
        return TlsFiles(self.grpc_tls_cert, self.grpc_tls_key, self.grpc_tls_ca)

    def contradictions(self) -> Iterator[str]:
        """Faults that no single knob shows."""
        files = (self.grpc_tls_cert, self.grpc_tls_key, self.grpc_tls_ca)
        if any(files) and not all(files):
            yield "GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA go together: all of them or none"


class ConnectionKnobs(Knobs):
    """Where the parts are and how they log."""

    valkey_url: str = Field("redis://127.0.0.1:16379/0", pattern=r"^(redis|rediss|valkey|unix)://")
    """Where Valkey is."""
    gateway_addr: Address = "127.0.0.1:15051"
    """Where the gateway is; likewise below."""
    evaluator_addr: Address = "127.0.0.1:15052"
    """Where the evaluator is."""
    allocator_addr: Address = "127.0.0.1:15053"
    """Where the allocator is."""
    guard_addr: Address = "127.0.0.1:15054"
    """Where the guard is."""
    grpc_listen: Address | None = None
    """Where this service listens; its own address above when unset."""
    log_format: LogFormat = LogFormat.JSON
    """One line of JSON an event, or for the eye."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    """Least level that is logged."""

    def peers(self) -> dict[str, str]:
        """Address of each service by name."""
        return {
            "gateway": self.gateway_addr,
            "evaluator": self.evaluator_addr,
            "allocator": self.allocator_addr,
            "guard": self.guard_addr,
        }


class MarketKnobs(Knobs):
    """What is traded, and when."""

    hotband_pairs: Annotated[tuple[str, ...], BeforeValidator(_parse_pairs)] = (
        "EUR_USD",
        "USD_JPY",
        "GBP_USD",
        "EUR_JPY",
        "USD_CAD",
        "NZD_USD",
        "AUD_USD",
        "USD_CHF",
    )
    """Instruments that are traded."""
    candle_granularity: Granularity = Granularity.M1
    """Bars that the kernel works on."""
    market_calendar: MarketCalendar = MarketCalendar.FX
    """`24x7` treats the market as always open (simulation)."""
    session_trading_enabled: bool = True
    """`0` turns session gating off."""
    session_exit_minutes: float = Field(5, ge=0, le=240, allow_inf_nan=False)
    """Before a session's close gates shut and positions are flattened."""


class FreshnessKnobs(Knobs):
    """How old a thing may be before it is no longer trusted."""

    fresh_max_signal_age_sec: Seconds = 300
    """Oldest signal that an entry may rest on."""
    fresh_max_ws_age_sec: Seconds = 30
    """Oldest live manifold, and oldest price, that an entry may rest on."""
    gates_blob_max_age_sec: Seconds = 180
    """Past it the allocator holds its weights and entries are refused."""


class ThresholdKnobs(Knobs):
    """Live thresholds of an entry."""

    guard_min_coherence: float = Field(0.55, ge=0.55, le=1, allow_inf_nan=False)
    """Least coherence of an entry."""
    auto_max_rupture: Share = 0.60
    """Most rupture of an entry; above it a position leaves."""
    auto_max_entropy: Share = 0.75
    """Most entropy of an entry."""
    auto_min_stability: Share = 0.40
    """Least stability of an entry; below it a position leaves."""
    max_spread_bps: Decimal = Field(Decimal("3.0"), gt=0, le=1000)
    """Widest spread of an entry, in basis points of the mid."""


class AllocationKnobs(Knobs):
    """How much may be allocated; allocator and guard must agree on it."""

    alloc_top_k: int = Field(3, ge=1, le=100)
    """How many instruments get weights."""
    risk_alloc_target_pct: Decimal = Field(Decimal("0.30"), gt=0, le=Decimal("0.30"))
    """Share of margin available that may be in use."""
    pm_max_per_pos_pct: Decimal = Field(Decimal("0.35"), gt=0, le=1)
    """Share of the budget that one instrument may take."""


class AllocatorKnobs(Knobs):
    """The allocator's cadence and score."""

    alloc_interval_sec: Seconds = 60
    """Seconds between allocations; a new blob allocates at once."""
    alloc_score_weight_coherence: Finite = 0.6
    """Weight of C in the score."""
    alloc_score_weight_stability: Finite = 0.2
    """Weight of S."""
    alloc_score_weight_rupture: Finite = 0.15
    """Weight of 1 - R."""
    alloc_score_weight_entropy: Finite = 0.05
    """Weight of 1 - H."""
    alloc_score_weight_hazard: Finite = 0.0
    """Taken off for each unit of lambda."""


class EvaluatorKnobs(Knobs):
    """The evaluator's cadence, spans, floors and hysteresis."""

    eval_interval_sec: Seconds = 60
    """Seconds between evaluations."""
    eval_span_days: int = Field(30, ge=1, le=400)
    """The slice that gates are judged on."""
    eval_long_run_days: int = Field(90, ge=1, le=400)
    """The run that all slices are cut from."""
    eval_min_trades: int = Field(10, ge=1, le=1_000_000)
    """Base floor of trades in the slice."""
    eval_calmar_min: float = Field(0.15, ge=0, allow_inf_nan=False)
    """Base floor of the Calmar ratio."""
    eval_pnl_min: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Base floor of the sum of returns."""
    eval_manifold_interval_sec: float = Field(5, gt=0, le=10, allow_inf_nan=False)
    """Seconds between live manifolds."""
    eval_signal_ttl_sec: Seconds = 3 * 86_400
    """How long a signal is kept."""
    hysteresis_default: Finite = 0.10
    """Buffer around the floors, clamped to [0, 0.30]."""
    hysteresis_pair_json: Json[dict[InstrumentName, Finite]] = Field(default_factory=dict)
    """Buffers by instrument, such as `{"EUR_USD": 0.2}`."""

    def contradictions(self) -> Iterator[str]:
        """Faults that no single knob shows."""
        if self.eval_span_days > self.eval_long_run_days:
            yield (
                f"EVAL_SPAN_DAYS {self.eval_span_days} is above "
                f"EVAL_LONG_RUN_DAYS {self.eval_long_run_days}; a slice lies inside the long run"
            )


class GuardKnobs(Knobs):
    """How the guard moves positions."""

    pm_ramp_step_pct: Decimal = Field(Decimal("0.25"), gt=0, le=1)
    """Share of the budget that an instrument's margin may grow by in one reconcile."""
    pm_rebalance_band: Decimal = Field(Decimal("0.10"), ge=0, lt=1)
    """No order while a position is within this share of its target."""
    pm_reconcile_sec: Seconds = 30
    """Seconds between reconciles."""
    pm_adopt_manual: bool = False
    """`1` manages positions that were opened by hand."""
    margin_hyst_low: Decimal = Field(Decimal("0.25"), gt=0, lt=1)
    """The margin gate opens again below this utilisation."""
    margin_hyst_high: Decimal = Field(Decimal("0.30"), gt=0, lt=1)
    """The margin gate shuts at this utilisation."""

    def contradictions(self) -> Iterator[str]:
        """Faults that no single knob shows."""
        if self.margin_hyst_low > self.margin_hyst_high:
            yield (
                f"MARGIN_HYST_LOW {self.margin_hyst_low} is above "
                f"MARGIN_HYST_HIGH {self.margin_hyst_high}; low must not exceed high"
            )


class SafetyKnobs(Knobs):
    """What the stack is allowed to do."""

    kill_switch: bool = True
    """Seeds `ops:kill_switch` where it is absent; the API alone changes it."""
    kill_switch_force_env: bool = False
    """`1` lets KILL_SWITCH override what is stored, at start."""
    read_only: bool = False
    """`1` refuses every order, reductions too."""
    live_trading_enabled: bool = False
    """`1` allows orders on a live account."""
    oanda_environment: OandaEnvironment = OandaEnvironment.PAPER
    """What is behind the broker's URL."""


class BrokerKnobs(Knobs):
    """How to reach the broker; only the gateway reads these."""

    oanda_api_url: str = Field("http://127.0.0.1:18080", pattern=r"^https?://")
    """The broker's REST API."""
    oanda_stream_url: str = Field("http://127.0.0.1:18080", pattern=r"^https?://")
    """The broker's streams."""
    oanda_api_token: Annotated[SecretStr, AfterValidator(_check_token)]
    """The token; never logged. Also read from the file /run/secrets/oanda_api_token."""
    oanda_account_id: str = Field(
        "101-001-0000001-001", pattern=r"^[0-9]{3}-[0-9]{3}-[0-9]+-[0-9]{3}$"
    )
    """The account."""
    oanda_timeout_sec: float = Field(5, gt=0, le=60, allow_inf_nan=False)
    """Longest wait for an answer."""
    oanda_stream_silence_sec: float = Field(12, gt=0, le=60, allow_inf_nan=False)
    """After this silence a stream counts as broken; heartbeats come every five seconds."""
    candle_poll_sec: float | None = Field(None, gt=0, le=3600, allow_inf_nan=False)
    """Seconds between polls for candles; by granularity when unset."""
    candle_backfill_days: float = Field(90, gt=0, le=400, allow_inf_nan=False)
    """How much history is loaded at first."""


ALL_GROUPS: tuple[type[BaseModel], ...] = (
    ConnectionKnobs,
    AccessKnobs,
    TlsKnobs,
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
