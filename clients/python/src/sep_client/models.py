"""Responses of the stack. Generated from the contract by ``generate.py``: don't edit."""

# ruff: noqa: E741 - the contract calls a low price l

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class ClosedList(StrEnum):
    """Base of the contract's enums."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Base of the contract's messages."""


class ActionKind(ClosedList):
    """Kind of an action."""

    UNSPECIFIED = "ACTION_KIND_UNSPECIFIED"
    HOLD = "ACTION_KIND_HOLD"
    ENTRY = "ACTION_KIND_ENTRY"
    REDUCTION = "ACTION_KIND_REDUCTION"
    REFUSAL = "ACTION_KIND_REFUSAL"
    MANUAL = "ACTION_KIND_MANUAL"


@dataclass(frozen=True, slots=True)
class Action(Answer):
    """What was decided for one instrument."""

    instrument: str
    """Instrument name."""
    kind: ActionKind
    """Kind of the action."""
    current_units: Decimal
    """Units held, signed, a decimal."""
    target_units: Decimal
    """Units wanted, signed, a decimal."""
    ordered_units: Decimal
    """Units ordered, signed, a decimal; "0" when no order was sent."""
    reasons: tuple[str, ...]
    """Why: each failed gate of a refused entry, or the cause of an order."""
    order_state: str
    """What became of the order: "", "FILLED", "CANCELLED", "REJECTED" or "UNKNOWN"."""
    client_order_id: str
    """Client order id, if an order was sent."""
    decision_id: str
    """Id of the decision in guard:decisions; empty where none was recorded: in a dry run, and where
    all stays as it is."""
    projected_margin: Decimal
    """Margin that the planned order takes, or frees below 0, in home currency, a decimal."""


@dataclass(frozen=True, slots=True)
class BrokerLink(Answer):
    """The link to the broker as the gateway last saw it."""

    connected: bool
    """Whether the last call went through and is recent."""
    error: str
    """What went wrong last; empty when connected."""
    last_contact_ms: float | None = None
    """When the gateway last heard the broker, in ms; unset if never."""


@dataclass(frozen=True, slots=True)
class Ohlc(Answer):
    """Open, high, low and close, decimals."""

    o: Decimal
    """First price."""
    h: Decimal
    """Highest price."""
    l: Decimal
    """Lowest price."""
    c: Decimal
    """Last price."""


@dataclass(frozen=True, slots=True)
class Candle(Answer):
    """One complete candle."""

    ts_ms: float
    """Start of the bar in ms."""
    volume: int
    """Number of ticks."""
    bid: Ohlc | None = None
    """Bid prices."""
    ask: Ohlc | None = None
    """Ask prices."""


@dataclass(frozen=True, slots=True)
class Coefficients(Answer):
    """Coefficients of the same window."""

    sigma_eff: float
    """Population standard deviation of the log returns, per bar."""
    lambda_: float
    """Hazard: share of ruptures among the events after a non-rupture, per bar."""


@dataclass(frozen=True, slots=True)
class Metrics(Answer):
    """The four quantum metrics of one window of 64 bits, each in [0, 1]."""

    coherence: float
    """How well the window hangs together: pattern and trajectory fit."""
    stability: float
    """1 - rupture."""
    entropy: float
    """Entropy of the null, flip and rupture shares."""
    rupture: float
    """Share of rupture events."""


@dataclass(frozen=True, slots=True)
class ThresholdCheck(Answer):
    """A value, the threshold it is held against, and the verdict."""

    name: str
    """Name of the metric, such as coherence."""
    value: float
    """The value observed."""
    threshold: float
    """The threshold."""
    comparison: str
    """How they are compared: ">=" or "<="."""
    passed: bool
    """Whether the value passes."""


@dataclass(frozen=True, slots=True)
class CoherenceStatus(Answer):
    """Metrics of an instrument, held against the thresholds of a live entry."""

    instrument: str
    """Instrument name."""
    checks: tuple[ThresholdCheck, ...]
    """Each threshold with its verdict; empty before the first window."""
    passed: bool
    """Whether every threshold and the freshness passed."""
    fresh: bool
    """Whether signal and live manifold are younger than their limits."""
    metrics: Metrics | None = None
    """Metrics of the last complete window; unset before the first."""
    signal_age_seconds: float | None = None
    """Age of the signal in seconds, from the end of its bar; unset before the first."""
    manifold_age_seconds: float | None = None
    """Age of the live manifold's price in seconds; unset while there is none."""


@dataclass(frozen=True, slots=True)
class DrainClose(Answer):
    """One close of a drain."""

    instrument: str
    """Instrument name."""
    current_units: Decimal
    """Units held, signed, a decimal."""
    close_units: Decimal
    """Units to close, above 0, a decimal."""
    margin_freed: Decimal
    """Margin that this frees in home currency, a decimal."""
    reason: str
    """"OVER_INSTRUMENT_CAP" or "OVER_TOTAL_CAP"."""
    order_state: str
    """What became of the order: "", "FILLED", "CANCELLED", "REJECTED" or "UNKNOWN"."""
    client_order_id: str
    """Client order id, if an order was sent."""
    order_reason: str
    """The broker's word for a cancel or reject; empty otherwise."""


@dataclass(frozen=True, slots=True)
class EntryCheck(Answer):
    """One condition of an entry."""

    reason: str
    """Reason it would be refused for, such as COHERENCE_LOW."""
    passed: bool
    """Whether it passed."""
    observed: str
    """What was seen."""
    allowed: str
    """What is allowed."""


@dataclass(frozen=True, slots=True)
class ExecuteDrainResponse(Answer):
    """What a drain did."""

    drain_id: str
    """Id of the drain."""
    closes: tuple[DrainClose, ...]
    """What was closed, in the order it was done."""
    remaining_excess: Decimal
    """Margin still over the cap, a decimal."""
    ts_ms: float
    """When it ended, in ms."""


@dataclass(frozen=True, slots=True)
class StoredCandles(Answer):
    """What was stored for one instrument."""

    instrument: str
    """Instrument name."""
    granularity: str
    """Granularity."""
    fetched: int
    """Complete candles that the broker sent."""
    stored: int
    """Candles that were new or changed."""
    quarantined: int
    """Candles refused because no market can print them."""
    last_ts_ms: float | None = None
    """Start of the last stored bar in ms; unset when nothing is stored."""


@dataclass(frozen=True, slots=True)
class FetchCandlesResponse(Answer):
    """What was stored."""

    stored: tuple[StoredCandles, ...]
    """One entry an instrument."""


@dataclass(frozen=True, slots=True)
class Freshness(Answer):
    """How fresh one thing is."""

    name: str
    """"gates_blob", "weights", or "signal:EUR_USD"."""
    max_age_seconds: float
    """Limit in seconds."""
    verdict: str
    """"fresh", "stale", "missing", "malformed", or "unknown" while the store can't be read."""
    age_seconds: float | None = None
    """Age in seconds; unset when it is missing."""


@dataclass(frozen=True, slots=True)
class GetAccountResponse(Answer):
    """The account summary; every amount is a decimal in home currency."""

    id: str
    """Account id."""
    currency: str
    """Home currency."""
    balance: Decimal
    """Balance without open positions."""
    nav: Decimal
    """Net asset value."""
    unrealized_pl: Decimal
    """Profit and loss of open positions."""
    pl: Decimal
    """Profit and loss so far."""
    margin_used: Decimal
    """Margin that open positions use."""
    margin_available: Decimal
    """Margin left."""
    position_value: Decimal
    """Value of open positions."""
    margin_closeout_percent: Decimal
    """Share of the margin closeout level; 1 closes everything out."""
    open_trade_count: int
    """Number of open trades."""
    open_position_count: int
    """Number of open positions."""
    last_transaction_id: str
    """Id of the last transaction."""
    ts_ms: float
    """When the broker was asked, in ms."""


@dataclass(frozen=True, slots=True)
class GetAllocationStatusResponse(Answer):
    """The weights and what they rest on."""

    weights: Mapping[str, float]
    """Weight of each selected instrument, as a fraction of margin available."""
    total_allocation: float
    """Sum of the weights; never above RISK_ALLOC_TARGET_PCT."""
    top_k: int
    """How many instruments may be selected."""
    held: bool
    """Whether earlier weights are kept because the blob can't be trusted."""
    held_reason: str
    """Why they are held; empty otherwise."""
    cooldowns: tuple[str, ...]
    """Instruments that are cooling down."""
    blob_age_seconds: float | None = None
    """Age of the gates blob in seconds; unset while there is none."""
    weights_age_seconds: float | None = None
    """Age of the weights in seconds; unset while there are none."""


@dataclass(frozen=True, slots=True)
class GetBudgetResponse(Answer):
    """The risk budget, all in home currency."""

    balance: Decimal
    """Account balance, a decimal."""
    margin_available: Decimal
    """Margin available, a decimal."""
    margin_used: Decimal
    """Margin used, a decimal."""
    target_pct: float
    """Share of margin available that may be allocated."""
    budget: Decimal
    """min(balance, margin available) * target_pct, a decimal."""
    per_instrument_cap: Decimal
    """Most margin one instrument may take, a decimal."""
    utilisation: float
    """margin used / (margin used + margin available)."""
    margin_gate_open: bool
    """Whether the margin gate lets entries pass."""
    ts_ms: float
    """When the broker said so, in ms."""
    nav: Decimal
    """Net asset value, a decimal."""


@dataclass(frozen=True, slots=True)
class GetCoherenceStatusResponse(Answer):
    """Coherence of the instruments asked for."""

    statuses: tuple[CoherenceStatus, ...]
    """One entry an instrument, by name."""


class PartState(ClosedList):
    """State of a part."""

    UNSPECIFIED = "PART_STATE_UNSPECIFIED"
    SERVING = "PART_STATE_SERVING"
    NOT_SERVING = "PART_STATE_NOT_SERVING"
    UNREACHABLE = "PART_STATE_UNREACHABLE"


@dataclass(frozen=True, slots=True)
class PartHealth(Answer):
    """State of one part."""

    name: str
    """Name of the part, such as evaluator or valkey."""
    state: PartState
    """Its state."""


@dataclass(frozen=True, slots=True)
class GetHealthResponse(Answer):
    """State of each part."""

    healthy: bool
    """Whether every part serves."""
    parts: tuple[PartHealth, ...]
    """One entry a part: the services and the store."""


@dataclass(frozen=True, slots=True)
class GetKillSwitchResponse(Answer):
    """The kill switch."""

    kill_switch: bool
    """Whether it is engaged; engaged when it can't be read."""
    reason: str
    """Why it stands as it does."""
    actor: str
    """Who set it last; empty when it was seeded."""
    ts_ms: float | None = None
    """When it was set, in ms; unset when that is not known."""


@dataclass(frozen=True, slots=True)
class GetManifoldCoeffsResponse(Answer):
    """Coefficients of the last complete window."""

    instrument: str
    """Instrument name."""
    ts_ms: float
    """Start of the window's last bar in ms."""
    sigma_eff: float
    """Volatility per bar; see Coefficients."""
    lambda_: float
    """Hazard per bar; see Coefficients."""
    price: Decimal
    """Mid of the window's last close, a decimal."""
    metrics: Metrics | None = None
    """The metrics of the same window."""


@dataclass(frozen=True, slots=True)
class HomeConversion(Answer):
    """What one unit of a currency is worth at home."""

    currency: str
    """Currency such as JPY."""
    account_gain: Decimal
    """Factor for gains, a decimal."""
    account_loss: Decimal
    """Factor for losses, a decimal."""
    position_value: Decimal
    """Factor for position value, a decimal."""


@dataclass(frozen=True, slots=True)
class Price(Answer):
    """A price."""

    instrument: str
    """Instrument name."""
    time: str
    """When the broker made it: RFC 3339 with nine digits."""
    ts_ms: float
    """The same in ms."""
    bid: Decimal | None
    """Best bid, a decimal; empty when there is none."""
    ask: Decimal | None
    """Best ask, a decimal; empty when there is none."""
    tradeable: bool
    """Whether the broker trades it now."""


@dataclass(frozen=True, slots=True)
class GetPricingResponse(Answer):
    """Current prices and conversions into home currency."""

    prices: tuple[Price, ...]
    """One entry an instrument."""
    home_conversions: tuple[HomeConversion, ...]
    """One entry a currency."""


@dataclass(frozen=True, slots=True)
class Readiness(Answer):
    """Whether an entry would pass, check by check."""

    instrument: str
    """Instrument name."""
    ready: bool
    """Whether an entry would pass now."""
    reasons: tuple[str, ...]
    """Every reason why not."""
    checks: tuple[EntryCheck, ...]
    """Each check with what was seen and what is allowed."""
    direction: int
    """1 long, -1 short, 0 none."""


@dataclass(frozen=True, slots=True)
class GetReadinessResponse(Answer):
    """Readiness of every instrument."""

    readiness: tuple[Readiness, ...]
    """One entry an instrument, by name."""


@dataclass(frozen=True, slots=True)
class Lease(Answer):
    """Who holds a writer lease."""

    name: str
    """Which service's lease."""
    holder: str
    """Who holds it; empty when nobody does."""
    fencing_token: float
    """The holder's fencing token; 0 when nobody holds it."""
    expires_in_seconds: float
    """Seconds until it runs out unless it is renewed."""


@dataclass(frozen=True, slots=True)
class Modes(Answer):
    """What the stack is allowed to do."""

    environment: str
    """"paper", "practice" or "live"."""
    live_trading_enabled: bool
    """Whether orders with real money are allowed."""
    read_only: bool
    """Whether every order is refused."""
    kill_switch: bool
    """Whether the kill switch is engaged; engaged when it can't be read."""


@dataclass(frozen=True, slots=True)
class GetStatusResponse(Answer):
    """The stack at a glance."""

    version: str
    """Version of the stack."""
    ts_ms: float
    """Time of this answer in ms."""
    freshness: tuple[Freshness, ...]
    """Ages and verdicts of blob, weights and signals."""
    leases: tuple[Lease, ...]
    """Who holds each writer lease; empty while the store can't be read."""
    parts: tuple[PartHealth, ...]
    """One entry a part, as in GetHealthResponse."""
    modes: Modes | None = None
    """What it is allowed to do."""
    broker: BrokerLink | None = None
    """The link to the broker."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Answer):
    """Word that a silent stream is alive."""

    ts_ms: float
    """Time of the service in ms."""


@dataclass(frozen=True, slots=True)
class Instrument(Answer):
    """The broker's rules for an instrument."""

    name: str
    """Instrument name."""
    display_precision: int
    """Decimals of a price."""
    trade_units_precision: int
    """Decimals of units."""
    minimum_trade_size: Decimal
    """Fewest units of an order, a decimal."""
    maximum_order_units: Decimal
    """Most units of an order, a decimal."""
    margin_rate: Decimal
    """Margin / position value, a decimal."""


@dataclass(frozen=True, slots=True)
class ListCandlesResponse(Answer):
    """Stored candles."""

    instrument: str
    """Instrument name."""
    granularity: str
    """Their granularity."""
    candles: tuple[Candle, ...]
    """Oldest first."""


@dataclass(frozen=True, slots=True)
class ListInstrumentsResponse(Answer):
    """Tradeable instruments."""

    instruments: tuple[Instrument, ...]
    """By name."""


@dataclass(frozen=True, slots=True)
class Trade(Answer):
    """An open trade."""

    id: str
    """Trade id."""
    instrument: str
    """Instrument name."""
    price: Decimal
    """Price it was opened at, a decimal."""
    current_units: Decimal
    """Units still open, signed, a decimal."""
    initial_units: Decimal
    """Units it was opened with, signed, a decimal."""
    unrealized_pl: Decimal
    """Profit and loss in home currency."""
    open_time: str
    """When it was opened: RFC 3339 with nine digits."""
    client_id: str
    """Client id; empty when it was opened by hand."""
    client_tag: str
    """Client tag; empty when it was opened by hand."""
    stop_loss_price: Decimal | None
    """Price of the stop loss; empty when there is none."""
    take_profit_price: Decimal | None
    """Price of the take profit; empty when there is none."""


@dataclass(frozen=True, slots=True)
class ListOpenTradesResponse(Answer):
    """Open trades."""

    trades: tuple[Trade, ...]
    """Oldest first."""
    last_transaction_id: str
    """Id of the last transaction they include."""


@dataclass(frozen=True, slots=True)
class SessionState(Answer):
    """Where an instrument stands in its sessions."""

    open: bool
    """Whether it may be traded now."""
    active: tuple[str, ...]
    """Names of the sessions that are under way."""
    minutes_to_close: float | None = None
    """Minutes until the contiguous open stretch ends; unset while closed or always open."""
    closes_at_ms: float | None = None
    """End of the open stretch in ms; unset while closed or always open."""
    opens_at_ms: float | None = None
    """Next start in ms; unset while open."""


@dataclass(frozen=True, slots=True)
class Pair(Answer):
    """An instrument and its session."""

    instrument: str
    """Instrument name such as EUR_USD."""
    open: bool
    """Whether it may be traded now; the same as session.open."""
    session: SessionState | None = None
    """Its session state now."""
    minutes_to_close: float | None = None
    """Minutes until the open stretch ends; unset while closed or always open."""


@dataclass(frozen=True, slots=True)
class ListPairsResponse(Answer):
    """The instruments."""

    pairs: tuple[Pair, ...]
    """One entry an instrument, by name."""


@dataclass(frozen=True, slots=True)
class Position(Answer):
    """A position in one instrument."""

    instrument: str
    """Instrument name."""
    long_units: Decimal
    """Long units, a decimal, 0 or more."""
    short_units: Decimal
    """Short units, a decimal, 0 or less."""
    long_average_price: str
    """Average price of the long side; empty when there is none."""
    short_average_price: str
    """Average price of the short side; empty when there is none."""
    unrealized_pl: Decimal
    """Profit and loss of open units in home currency."""
    margin_used: Decimal
    """Margin in use in home currency."""


@dataclass(frozen=True, slots=True)
class ListPositionsResponse(Answer):
    """Open positions."""

    positions: tuple[Position, ...]
    """One entry an instrument with open units."""
    last_transaction_id: str
    """Id of the last transaction they include."""


@dataclass(frozen=True, slots=True)
class RankedInstrument(Answer):
    """One instrument in the ranking."""

    instrument: str
    """Instrument name."""
    selected: bool
    """Whether it is among the Top-K."""
    eligible: bool
    """Whether its gate is open."""
    weight: float
    """Weight as a fraction of margin available."""
    gate_reasons: tuple[str, ...]
    """Why the gate is closed; empty when it is open."""
    score: float | None = None
    """Allocation score; unset without a signal."""
    metrics: Metrics | None = None
    """Metrics of the last window; unset without a signal."""
    coeffs: Coefficients | None = None
    """Coefficients of the last window; unset without a signal."""
    slope_bps: float | None = None
    """Slope over the direction lookback in basis points; unset without a signal."""
    session: SessionState | None = None
    """Session state now."""


@dataclass(frozen=True, slots=True)
class ListRankingResponse(Answer):
    """The ranking."""

    ranking: tuple[RankedInstrument, ...]
    """Open instruments first, then by score."""
    weights_ts_ms: float | None = None
    """When the weights behind it were made, in ms; unset before the first."""


@dataclass(frozen=True, slots=True)
class Manifold(Answer):
    """The live state of one instrument: complete candles and the live mid as a provisional last
    bar."""

    instrument: str
    """Instrument name such as EUR_USD."""
    ts_ms: float
    """Time of the price behind it, never the time of writing, in ms."""
    price: Decimal
    """The live mid, a decimal."""
    metrics: Metrics | None = None
    """Metrics of the window that ends in that price."""
    coeffs: Coefficients | None = None
    """Coefficients of the same window."""


@dataclass(frozen=True, slots=True)
class PlanDrainResponse(Answer):
    """A drain's plan. Margin is in home currency, decimals."""

    drain_id: str
    """Id to execute it with."""
    margin_used: Decimal
    """Margin in use now."""
    margin_cap: Decimal
    """Margin that may be in use."""
    excess: Decimal
    """Margin over the cap, "0" when there is none."""
    closes: tuple[DrainClose, ...]
    """What would be closed, largest first."""
    kill_switch: bool
    """Whether the kill switch is engaged, without which nothing is executed."""
    ts_ms: float
    """When it was made, in ms."""


@dataclass(frozen=True, slots=True)
class ReconcileResponse(Answer):
    """What the cycle decided."""

    cycle_id: str
    """Id of the cycle."""
    dry_run: bool
    """Whether no order was sent."""
    actions: tuple[Action, ...]
    """One action an instrument that was looked at, by name."""
    ts_ms: float
    """When it ran, in ms."""


@dataclass(frozen=True, slots=True)
class SetKillSwitchResponse(Answer):
    """The kill switch after the change."""

    kill_switch: bool
    """Whether it is engaged."""
    reason: str
    """Why."""
    actor: str
    """Who set it."""
    ts_ms: float
    """When, in ms."""


@dataclass(frozen=True, slots=True)
class StreamError(Answer):
    """An error told inside a stream, since a transcoded stream can't change its status."""

    reason: str
    """Stable reason, such as STORE_UNAVAILABLE."""
    message: str
    """For people."""


@dataclass(frozen=True, slots=True)
class StreamManifoldsResponse(Answer):
    """One live manifold, or word that the stream can't go on."""

    manifold: Manifold | None = None
    """A manifold was written."""
    error: StreamError | None = None
    """The stream failed and ends; the reason as an error would have it."""
    heartbeat: Heartbeat | None = None
    """Nothing was written for a while, and the stream is alive."""
