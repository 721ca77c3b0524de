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
    """Decision for one instrument."""

    instrument: str
    """Instrument name."""
    kind: ActionKind
    """Kind of the action."""
    current_units: Decimal
    """Units held, signed, a decimal."""
    target_units: Decimal
    """Target units, signed, a decimal."""
    ordered_units: Decimal
    """Units ordered, signed, a decimal; "0" if no order was sent."""
    reasons: tuple[str, ...]
    """Reasons: each failed check of a refused entry, or the cause of an order."""
    order_state: str
    """Outcome of the order: "", "FILLED", "CANCELLED", "REJECTED" or "UNKNOWN"."""
    client_order_id: str
    """Client order id, if an order was sent."""
    decision_id: str
    """Id of the decision in guard:decisions; empty if none was recorded: in a dry run, and if
    nothing changes."""
    projected_margin: Decimal
    """Margin that the planned order uses, below 0 if it frees margin; home currency, a decimal."""


@dataclass(frozen=True, slots=True)
class BrokerLink(Answer):
    """The link to the broker as last reported by the gateway."""

    connected: bool
    """Whether the last call succeeded and is recent."""
    error: str
    """The last error; empty while connected."""
    left_out: tuple[str, ...]
    """What could not be read of the broker's newest answers, such as "instrument XAU_USD: the
    account does not have it"; at most fifty. The rest of those answers is used."""
    unsupported_kinds: tuple[str, ...]
    """Why the account can't be traded: HEDGING, GUARANTEED_STOPS_REQUIRED, MT4, FIFO, UNKNOWN_KIND.
    Entries are refused, exits work."""
    last_contact_ms: float | None = None
    """When the broker last answered the gateway, in ms; unset if never."""
    clock_skew_seconds: float | None = None
    """Seconds that the broker's clock is ahead of the gateway's; unset while that is not known."""


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
class ChangedParameters(Answer):
    """What a change did to one instrument."""

    instrument: str
    """Instrument name."""
    before: Mapping[str, float]
    """The parameters before, by name; empty when what was stored was invalid."""
    after: Mapping[str, float]
    """The parameters after, by name."""
    digest_before: str
    """Digest of the parameters before."""
    digest_after: str
    """Digest of the parameters after."""
    against: tuple[str, ...]
    """Why the run's verdict is against them; empty when it is to promote."""


@dataclass(frozen=True, slots=True)
class Coefficients(Answer):
    """Coefficients of the same window."""

    sigma_eff: float
    """Population standard deviation of the log returns, per bar."""
    lambda_: float
    """Hazard per bar: share of ruptures among the events that follow a non-rupture."""


@dataclass(frozen=True, slots=True)
class Metrics(Answer):
    """The four metrics of one window of 64 bits, each in [0, 1]."""

    coherence: float
    """Coherence: how well pattern and trajectory fit across the window."""
    stability: float
    """1 - rupture."""
    entropy: float
    """Entropy of the shares of null, flip and rupture events."""
    rupture: float
    """Share of rupture events."""


@dataclass(frozen=True, slots=True)
class ThresholdCheck(Answer):
    """A value, the threshold it is compared with, and the verdict."""

    name: str
    """Name of the metric, such as coherence."""
    value: float
    """The observed value."""
    threshold: float
    """The threshold."""
    comparison: str
    """How they are compared: ">=" or "<="."""
    passed: bool
    """Whether the value passes."""


@dataclass(frozen=True, slots=True)
class CoherenceStatus(Answer):
    """Metrics of an instrument, compared with the thresholds of an entry."""

    instrument: str
    """Instrument name."""
    checks: tuple[ThresholdCheck, ...]
    """Each threshold with its verdict; empty before the first window."""
    passed: bool
    """Whether all thresholds pass and the data is fresh."""
    fresh: bool
    """Whether signal and live manifold are younger than their maximum ages."""
    parameters_digest: str
    """Digest of the parameters in force; empty while the stored ones are invalid."""
    parameters_run: str
    """The research run that judged them; empty for the defaults and for a value set by hand."""
    metrics: Metrics | None = None
    """Metrics of the last complete window; unset before the first."""
    signal_age_seconds: float | None = None
    """Age of the signal in seconds, from the end of its bar; unset before the first signal."""
    manifold_age_seconds: float | None = None
    """Age of the live manifold's price in seconds; unset if there is none."""


@dataclass(frozen=True, slots=True)
class CostParts(Answer):
    """What a result consists of, in home currency; a cost is negative. The parts add up exactly."""

    signal: Decimal
    """What the direction earned: the rest, once all costs are taken out."""
    half_spread: Decimal
    """Half of the spread at entry and at exit."""
    delay: Decimal
    """Move of the mid between the candle behind the decision and the quote of the decision."""
    slippage: Decimal
    """Move of the mid between that quote and the fill; of a stop, between its price and the
    fill."""
    financing: Decimal
    """Financing of open positions."""
    conversion: Decimal
    """Conversion of the result to home currency, against the middle of the broker's two rates."""
    commission: Decimal
    """Commission."""
    other: Decimal
    """Fees of guaranteed stops, dividends, and what the broker did not explain."""


@dataclass(frozen=True, slots=True)
class CostGroup(Answer):
    """The trades of one group."""

    group: str
    """An instrument, an hour of the day in UTC, a session or a weekday in New York."""
    trades: int
    """Number of trades."""
    net_pl: Decimal
    """Sum of the parts, in home currency, a decimal."""
    parts: CostParts | None = None
    """Sums of the trades' parts."""


@dataclass(frozen=True, slots=True)
class DecisionDifference(Answer):
    """One part of a result that differs from its record."""

    name: str
    """Name of the part."""
    recorded: str
    """What the record says, as JSON."""
    remade: str
    """What it is when made again, as JSON."""


@dataclass(frozen=True, slots=True)
class DecisionMadeAgain(Answer):
    """A decision that the guard made again from its record."""

    result: str
    """The result, made again, as a JSON object; empty where there is none."""
    differences: tuple[DecisionDifference, ...]
    """What differs from the record."""
    fault: str
    """Why it could not be made again, such as a guard that does not answer; empty if it was."""
    same: bool | None = None
    """Whether it is the same; unset for a record that holds no decision, and with a fault."""


@dataclass(frozen=True, slots=True)
class DivergenceCause(Answer):
    """The differences of one cause."""

    cause: str
    """data, gate, signal, size, price, timing, operator, broker, limit or unexplained."""
    differences: int
    """Number of differences."""
    cash: Decimal
    """What live earned more by them, in home currency, a decimal."""


@dataclass(frozen=True, slots=True)
class DivergenceItem(Answer):
    """One difference between what was traded and its replay."""

    cause: str
    """Its cause."""
    cash: Decimal
    """What live earned more by it, in home currency, a decimal."""
    instrument: str
    """Instrument name."""
    ts_ms: float
    """Opening of the earlier of both trades, in ms."""
    what: str
    """What differs."""
    trade_id: str
    """The broker's id of the trade; empty if it was not traded."""
    replay_trade_id: str
    """The trade of the replay; empty if the replay did not trade it."""


@dataclass(frozen=True, slots=True)
class DivergenceDay(Answer):
    """One trading day, which ends at 17:00 in New York. The cash of all its differences is
    `live_net` less `replay_net`."""

    date: str
    """Date of its end in New York, such as 2026-03-31."""
    end_ms: float
    """Its end, in ms."""
    live_net: Decimal
    """Result of the trades that were opened in it, in home currency, a decimal."""
    replay_net: Decimal
    """The same of the replay, a decimal."""
    live_trades: int
    """Number of trades that were opened in it."""
    replay_trades: int
    """The same of the replay."""
    causes: tuple[DivergenceCause, ...]
    """Every cause with its sum, also those without a difference."""
    differences: tuple[DivergenceItem, ...]
    """Oldest first."""


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
    """Margin that the close frees, in home currency, a decimal."""
    reason: str
    """Why: "OVER_INSTRUMENT_CAP" or "OVER_TOTAL_CAP"."""
    order_state: str
    """Outcome of the order: "", "FILLED", "CANCELLED", "REJECTED" or "UNKNOWN"."""
    client_order_id: str
    """Client order id, if an order was sent."""
    order_reason: str
    """The broker's reason for a cancel or reject; empty otherwise."""


@dataclass(frozen=True, slots=True)
class EntryCheck(Answer):
    """One check of an entry."""

    reason: str
    """Reason of the refusal if the check fails, such as COHERENCE_LOW."""
    passed: bool
    """Whether the check passed."""
    observed: str
    """The observed value."""
    allowed: str
    """The allowed values."""


@dataclass(frozen=True, slots=True)
class Event(Answer):
    """Something that happened."""

    id: str
    """Its number: each event has one of its own, greater than those before."""
    ts_ms: float
    """When it happened, in ms."""
    kind: str
    """decision, order, flip, weights, kill_switch, parameters, lock or alert."""
    instrument: str
    """Instrument name; empty for what concerns all."""
    reasons: tuple[str, ...]
    """Its reasons."""
    data: str
    """What happened, a JSON object as text; of a decision and an order with the id of the
    decision."""


@dataclass(frozen=True, slots=True)
class EventHeartbeat(Answer):
    """Sign that a silent stream still works."""

    ts_ms: float
    """Time of the service in ms."""
    last_event_id: str
    """The id after which the stream goes on: of the last event that it sent, or where it began. A
    client that continues after it misses nothing."""


@dataclass(frozen=True, slots=True)
class EventStreamError(Answer):
    """An error inside the stream: a transcoded stream can't change its HTTP status any more."""

    reason: str
    """Stable reason, such as JOURNAL_UNAVAILABLE."""
    message: str
    """Message for people."""


@dataclass(frozen=True, slots=True)
class ExecuteDrainResponse(Answer):
    """Result of a drain."""

    drain_id: str
    """Id of the drain."""
    closes: tuple[DrainClose, ...]
    """What was closed, in order of execution."""
    remaining_excess: Decimal
    """Margin still over the cap, a decimal."""
    ts_ms: float
    """When the drain ended, in ms."""


@dataclass(frozen=True, slots=True)
class StoredCandles(Answer):
    """Candles stored for one instrument."""

    instrument: str
    """Instrument name."""
    granularity: str
    """Granularity."""
    fetched: int
    """Number of complete candles that the broker sent."""
    stored: int
    """Number of candles that were new or changed."""
    quarantined: int
    """Number of candles refused because their prices or times are impossible."""
    last_ts_ms: float | None = None
    """Start of the newest stored bar in ms; unset if nothing is stored."""


@dataclass(frozen=True, slots=True)
class FetchCandlesResponse(Answer):
    """Stored candles by instrument."""

    stored: tuple[StoredCandles, ...]
    """One entry per instrument."""


@dataclass(frozen=True, slots=True)
class FlattenResponse(Answer):
    """What was closed."""

    flatten_id: str
    """Id with which it can be continued."""
    closes: tuple[DrainClose, ...]
    """The closes that were sent, with the broker's answers; none in a dry run."""
    remaining: tuple[DrainClose, ...]
    """What is still held of what was to be closed; in a dry run, what would be closed."""
    complete: bool
    """Whether nothing is left."""
    ts_ms: float
    """When the positions were read last, in ms."""


@dataclass(frozen=True, slots=True)
class Freshness(Answer):
    """Age of one value and its verdict."""

    name: str
    """Name of the value: "gates_blob", "weights", or "signal:EUR_USD"."""
    max_age_seconds: float
    """Maximum age in seconds."""
    verdict: str
    """"fresh", "stale", "missing", "malformed" (also if stamped in the future), or "unknown" while
    the store can't be read."""
    age_seconds: float | None = None
    """Age in seconds; unset if the value is missing or malformed."""


@dataclass(frozen=True, slots=True)
class GetAccountResponse(Answer):
    """The account summary; every amount is a decimal in home currency."""

    id: str
    """Account id."""
    currency: str
    """Home currency."""
    balance: Decimal
    """Balance, without the profit and loss of open positions."""
    nav: Decimal
    """Net asset value."""
    unrealized_pl: Decimal | None
    """Profit and loss of open positions; empty if it can't be read."""
    pl: Decimal | None
    """Realized profit and loss; empty if it can't be read."""
    margin_used: Decimal
    """Margin in use."""
    margin_available: Decimal
    """Margin available."""
    position_value: Decimal | None
    """Value of open positions; empty if it can't be read."""
    margin_closeout_percent: Decimal
    """Margin closeout percentage as a fraction; at 1 the broker closes all positions."""
    open_trade_count: int
    """Number of open trades; 0 if it can't be read."""
    open_position_count: int
    """Number of open positions; 0 if it can't be read."""
    last_transaction_id: str
    """Id of the last transaction."""
    ts_ms: float
    """When the broker was queried, in ms."""
    margin_rate: Decimal | None
    """The account's own margin rate, a decimal; empty if it has none. The larger of this one and
    the instrument's counts."""
    unsupported_kinds: tuple[str, ...]
    """What the account is that this stack can't trade: HEDGING, GUARANTEED_STOPS_REQUIRED, MT4,
    FIFO, UNKNOWN_KIND. Empty for an account that can be traded. Entries are refused otherwise."""
    hedging_enabled: bool
    """Whether the account can hold both sides of an instrument."""
    guaranteed_stop_mode: str
    """DISABLED, ALLOWED or REQUIRED, as OANDA names it; empty if the broker gave none."""


@dataclass(frozen=True, slots=True)
class GetAllocationStatusResponse(Answer):
    """The weights and the data they are based on."""

    weights: Mapping[str, float]
    """Weight of each selected instrument as a fraction of margin available."""
    total_allocation: float
    """Sum of the weights; never above RISK_ALLOC_TARGET_PCT."""
    top_k: int
    """Maximum number of selected instruments."""
    held: bool
    """Whether earlier weights are held because the gates blob is missing, stale or malformed."""
    held_reason: str
    """Why they are held; empty otherwise."""
    cooldowns: tuple[str, ...]
    """Instruments in cooldown."""
    blob_age_seconds: float | None = None
    """Age of the gates blob in seconds; unset if there is none."""
    weights_age_seconds: float | None = None
    """Age of the weights in seconds; unset if there are none."""


@dataclass(frozen=True, slots=True)
class GetBudgetResponse(Answer):
    """The risk budget; all amounts are in home currency."""

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
    """Maximum margin of one instrument, a decimal."""
    utilisation: float
    """margin used / (margin used + margin available)."""
    margin_gate_open: bool
    """Whether the margin gate lets entries pass."""
    ts_ms: float
    """When the broker reported the account, in ms."""
    nav: Decimal
    """Net asset value, a decimal."""


@dataclass(frozen=True, slots=True)
class GetCoherenceStatusResponse(Answer):
    """Coherence status of the requested instruments."""

    statuses: tuple[CoherenceStatus, ...]
    """One entry per instrument, sorted by name."""


@dataclass(frozen=True, slots=True)
class PathStep(Answer):
    """One step of an order's way."""

    step: str
    """candle, evaluation, blob, weights, decision, intent, transaction or trade."""
    id: str
    """What it is called: the instrument of a candle, evaluation and weight, the time of a blob, and
    the ids of decision, order, transaction and trade."""
    ts_ms: float | None = None
    """When it was made, in ms; of a candle its end. Unset where the record does not say."""


@dataclass(frozen=True, slots=True)
class RecordedDecision(Answer):
    """One recorded decision, order outcome or risk event."""

    id: str
    """Id of the decision; the outcomes of its orders have the same."""
    ts_ms: float
    """When it was made, in ms."""
    event: str
    """What was recorded: decision, order, drain, flatten, stop or risk."""
    kind: str
    """ENTRY, REDUCTION or REFUSAL of a decision, the kind of a risk event, else the event in
    capitals."""
    instrument: str
    """Instrument name; empty for an event of the whole account."""
    reasons: tuple[str, ...]
    """Its reasons."""
    count: int
    """How often a refusal was repeated in a row, itself included; 1 for everything else."""
    last_ts_ms: float
    """When it was last repeated, in ms."""
    last_id: str
    """Id of the last repetition."""


@dataclass(frozen=True, slots=True)
class GetDecisionResponse(Answer):
    """What is recorded about one decision."""

    decisions: tuple[RecordedDecision, ...]
    """The decision and the outcomes of its orders, oldest first."""
    records: tuple[str, ...]
    """The records as the guard wrote them, in the same order, each a JSON object as text."""
    made_again: tuple[DecisionMadeAgain, ...]
    """What each record gives when the guard makes its decision again, in the same order."""
    path: tuple[PathStep, ...]
    """From the candle to the trade, as far as it went."""


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
    """State of every part."""

    healthy: bool
    """Whether every part is serving, the journal aside."""
    parts: tuple[PartHealth, ...]
    """One entry per part: the services and the store."""


@dataclass(frozen=True, slots=True)
class GetKillSwitchResponse(Answer):
    """State of the kill switch."""

    kill_switch: bool
    """Whether it is engaged; true if it can't be read."""
    reason: str
    """Why it is in this state."""
    actor: str
    """Who set it last; empty if it was seeded from the settings."""
    ts_ms: float | None = None
    """When it was set, in ms; unset if unknown."""


@dataclass(frozen=True, slots=True)
class WindowMetrics(Answer):
    """Metrics of one complete window."""

    ts_ms: float
    """Start of the window's last bar in ms."""
    metrics: Metrics | None = None
    """Its metrics."""


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
    """Mid of the last close of the window, a decimal."""
    history: tuple[WindowMetrics, ...]
    """Metrics of the windows that were asked for, oldest first; those that can't be read are left
    out."""
    metrics: Metrics | None = None
    """Metrics of the same window."""


@dataclass(frozen=True, slots=True)
class PerformanceDay(Answer):
    """One trading day, which ends at 17:00 in New York."""

    date: str
    """Date of its end in New York, such as 2026-03-31."""
    end_ms: float
    """Its end, in ms."""
    nav: Decimal
    """Account value at its end, a decimal."""
    pl: Decimal
    """Change of the account value without transfers, a decimal."""
    transfers: Decimal
    """Transfers of the day, a decimal."""
    drawdown: float
    """Fall from the peak of the range, as a fraction that is zero or negative."""
    return_: float | None = None
    """Return of the day, as a fraction; unset on the first day of the account."""


@dataclass(frozen=True, slots=True)
class GetPerformanceResponse(Answer):
    """Performance of a range. A ratio that can't be computed, such as one over a single day, is
    unset."""

    nav: Decimal | None
    """Account value at the end of the range, a decimal; empty without a day."""
    net_pl: Decimal
    """Change of the account value without transfers, a decimal."""
    transfers: Decimal
    """Transfers in the range, a decimal."""
    trades: int
    """Number of trades that were closed in the range."""
    days: tuple[PerformanceDay, ...]
    """Days, oldest first."""
    time_weighted_return: float | None = None
    """Time-weighted return, as a fraction."""
    annual_return: float | None = None
    """The same, a year at a time."""
    max_drawdown: float | None = None
    """Deepest fall from a peak, as a negative fraction."""
    sharpe: float | None = None
    """Mean over standard deviation of daily returns, a year at a time."""
    sortino: float | None = None
    """Mean over downside deviation of daily returns, a year at a time."""
    calmar: float | None = None
    """Annual return over the deepest drawdown."""
    win_rate: float | None = None
    """Share of closed trades with a profit."""
    profit_factor: float | None = None
    """Profits over losses of closed trades."""
    exposure: float | None = None
    """Mean gross position value over the account value."""
    time_in_market: float | None = None
    """Share of the range in which a trade was open."""


@dataclass(frozen=True, slots=True)
class HomeConversion(Answer):
    """Value of one unit of a currency in home currency."""

    currency: str
    """Currency such as JPY."""
    account_gain: Decimal
    """Factor for gains, a decimal."""
    account_loss: Decimal
    """Factor for losses, a decimal."""
    position_value: Decimal
    """Factor for position value, a decimal."""


@dataclass(frozen=True, slots=True)
class LeftOut(Answer):
    """A member of a broker's list that can't be read, and is left out of the answer."""

    name: str
    """Its name or id, "*" if that can't be read either."""
    instrument: str
    """Its instrument, "*" if that can't be read: any instrument may be meant."""
    fault: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class Price(Answer):
    """The price of one instrument."""

    instrument: str
    """Instrument name."""
    time: str
    """Time of the price at the broker, RFC 3339 with nine fractional digits."""
    ts_ms: float
    """Time of the price in ms."""
    bid: Decimal | None
    """Best bid, a decimal; empty if there is none."""
    ask: Decimal | None
    """Best ask, a decimal; empty if there is none."""
    tradeable: bool
    """Whether the instrument can be traded now."""


@dataclass(frozen=True, slots=True)
class GetPricingResponse(Answer):
    """Current prices, and factors of conversion into home currency."""

    prices: tuple[Price, ...]
    """One entry per instrument."""
    home_conversions: tuple[HomeConversion, ...]
    """One entry per currency."""
    left_out: tuple[LeftOut, ...]
    """Prices and conversions that can't be read, and instruments that the account does not have."""


@dataclass(frozen=True, slots=True)
class Readiness(Answer):
    """Whether an entry would pass, with every check."""

    instrument: str
    """Instrument name."""
    ready: bool
    """Whether an entry would pass now."""
    reasons: tuple[str, ...]
    """Every reason why not."""
    checks: tuple[EntryCheck, ...]
    """Each check with the observed and the allowed value."""
    direction: int
    """Direction of the signal: 1 long, -1 short, 0 none."""
    parameters_digest: str
    """Digest of the parameters that the gate was judged by; empty while they are invalid or
    unknown."""
    parameters_run: str
    """The research run that judged them; empty for the defaults and for a value set by hand."""


@dataclass(frozen=True, slots=True)
class GetReadinessResponse(Answer):
    """Readiness of all instruments."""

    readiness: tuple[Readiness, ...]
    """One entry per instrument, sorted by name."""


@dataclass(frozen=True, slots=True)
class RiskLimit(Answer):
    """One risk limit."""

    limit: str
    """Its name."""
    allowed: float
    """What is allowed."""
    state: str
    """`ok`, `reached`, `tripped` (the breaker stands because of it), `locked` (an instrument is),
    or `unreadable`."""
    unit: str
    """Unit of observed and allowed."""
    subject: str
    """Instrument or currency that observed belongs to; empty for the account."""
    observed: float | None = None
    """What is observed now, in the unit of the limit's knob: the largest of all instruments or
    currencies. Unset when unknown."""
    headroom: float | None = None
    """Share of the limit that is left, 0 to 1. Unset when unknown."""


@dataclass(frozen=True, slots=True)
class GetRiskLimitsResponse(Answer):
    """The risk limits, in the order daily_loss, drawdown, turnover, order_rate, rejects, stop_outs,
    loss_at_stop, leverage, currency, reference_price."""

    limits: tuple[RiskLimit, ...]
    """One entry a limit."""


@dataclass(frozen=True, slots=True)
class MissingSettings(Answer):
    """A service whose settings are not known."""

    service: str
    """Name of the service."""
    reason: str
    """The error's reason, such as PEER_UNAVAILABLE."""


@dataclass(frozen=True, slots=True)
class Setting(Answer):
    """A setting in force."""

    name: str
    """Name, such as ALLOC_TOP_K."""
    services: tuple[str, ...]
    """Names of the services that read the setting."""
    secret: bool
    """Whether value and default are withheld: passwords, tokens, and addresses that contain
    some."""
    changed: bool
    """Whether the value differs from the default."""
    description: str
    """What the setting does."""
    value: str | None = None
    """Value, as it is written in the environment; unset where there is none, and for a secret."""
    default: str | None = None
    """Default, as it is written in the environment; unset where there is none, and for a secret."""


@dataclass(frozen=True, slots=True)
class GetSettingsResponse(Answer):
    """Settings of all services."""

    settings: tuple[Setting, ...]
    """By name. A setting that services read with different values has an entry for each value."""
    missing: tuple[MissingSettings, ...]
    """Services that did not answer, whose own settings are therefore not listed."""


@dataclass(frozen=True, slots=True)
class KeyFileFault(Answer):
    """A file in the folder of API keys that is not used as a key."""

    file: str
    """Name of the file."""
    reason: str
    """Why it is not used, and what to do."""


@dataclass(frozen=True, slots=True)
class Lease(Answer):
    """Holder of a writer lease."""

    name: str
    """Name of the service."""
    holder: str
    """Id of the replica that holds it; empty if it is free."""
    fencing_token: float
    """Fencing token of the holder; 0 if it is free."""
    expires_in_seconds: float
    """Seconds until it expires unless it is renewed."""


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
    """Time of this response in ms."""
    freshness: tuple[Freshness, ...]
    """Ages and verdicts of blob, weights and signals."""
    leases: tuple[Lease, ...]
    """Holders of the writer leases; empty while the store can't be read."""
    parts: tuple[PartHealth, ...]
    """One entry per part, as in GetHealthResponse."""
    key_file_faults: tuple[KeyFileFault, ...]
    """Files in the folder of API keys that are not used as keys; read by the service that
    answers."""
    modes: Modes | None = None
    """What the stack is allowed to do."""
    broker: BrokerLink | None = None
    """The link to the broker."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Answer):
    """Sign that a silent stream still works."""

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
    """Minimum units of an order, a decimal."""
    maximum_order_units: Decimal
    """Maximum units of an order, a decimal."""
    margin_rate: Decimal
    """Margin rate: margin / position value, a decimal."""
    guaranteed_stop_mode: str
    """Guaranteed stop mode of the instrument, as OANDA names it; empty if the broker gave none."""


@dataclass(frozen=True, slots=True)
class JournalTrade(Answer):
    """A trade. Of an open one, amounts are what is realised so far."""

    id: str
    """The broker's id."""
    instrument: str
    """Instrument name."""
    units: Decimal
    """Units opened, signed, a decimal."""
    open_units: Decimal
    """Units still open, signed, a decimal."""
    open_time: float
    """When it was opened, in ms."""
    open_price: Decimal | None
    """Price at which it was opened, a decimal; empty where its opening can't be read."""
    close_price: Decimal | None
    """Average price of what was closed, a decimal; empty before the first close."""
    net_pl: Decimal
    """Sum of the parts: what the trade changed the balance by, in home currency, a decimal."""
    decision_ids: tuple[str, ...]
    """Decisions that opened and closed it."""
    exit: str
    """Why the last of it was closed, as OANDA names it; empty before the first close."""
    own: bool
    """Whether this stack opened it; false for a trade opened by hand."""
    transaction_ids: tuple[str, ...]
    """Transactions that changed it, oldest first."""
    close_time: float | None = None
    """When its last unit was closed, in ms; unset while it is open."""
    parts: CostParts | None = None
    """What `net_pl` consists of."""


@dataclass(frozen=True, slots=True)
class LedgerTransaction(Answer):
    """One entry of the broker's ledger. What a type does not have is empty."""

    id: str
    """Transaction id."""
    ts_ms: float
    """When the broker made it, in ms."""
    type: str
    """Type, such as ORDER_FILL, as OANDA names it."""
    reason: str
    """Why it happened, as OANDA names it."""
    order_id: str
    """Id of the order that it belongs to."""
    client_order_id: str
    """Client id of that order."""
    instrument: str
    """Instrument name."""
    units: Decimal | None
    """Units of a fill, signed, a decimal; empty for other types."""
    price: Decimal | None
    """Average price of a fill, a decimal; empty for other types."""
    account_balance: Decimal | None
    """Balance after it, in home currency, a decimal; empty where the broker names none."""
    balance_change: Decimal
    """Change of the balance, in home currency, a decimal."""
    transfer: Decimal
    """The part of that change that belongs to no trade: deposits, withdrawals and corrections."""
    fault: str
    """What of it could not be read; empty for a sound entry."""


@dataclass(frozen=True, slots=True)
class ListCandlesResponse(Answer):
    """Stored candles."""

    instrument: str
    """Instrument name."""
    granularity: str
    """Granularity of the candles."""
    candles: tuple[Candle, ...]
    """The candles, oldest first."""


@dataclass(frozen=True, slots=True)
class ListCostsResponse(Answer):
    """Costs by group."""

    costs: tuple[CostGroup, ...]
    """By the name of the group."""


@dataclass(frozen=True, slots=True)
class ListDecisionsResponse(Answer):
    """A page of decisions."""

    decisions: tuple[RecordedDecision, ...]
    """Newest first."""
    next_page_token: str
    """Token of the next page; empty on the last."""


@dataclass(frozen=True, slots=True)
class ListDivergenceResponse(Answer):
    """A page of days."""

    days: tuple[DivergenceDay, ...]
    """Newest first; days that were not compared are missing."""
    next_page_token: str
    """Token of the next page; empty on the last."""


@dataclass(frozen=True, slots=True)
class ListInstrumentsResponse(Answer):
    """Tradeable instruments."""

    instruments: tuple[Instrument, ...]
    """The instruments."""
    left_out: tuple[LeftOut, ...]
    """Members that can't be read."""


@dataclass(frozen=True, slots=True)
class ListLedgerResponse(Answer):
    """A page of the ledger."""

    transactions: tuple[LedgerTransaction, ...]
    """Newest first."""
    next_page_token: str
    """Token of the next page; empty on the last."""


@dataclass(frozen=True, slots=True)
class Lock(Answer):
    """A lock: the instrument takes no entry while it runs."""

    instrument: str
    """Instrument name."""
    cause: str
    """`order_rate`, `rejects`, `stop_outs`, `foreign_close`, or `manual`."""
    reason: str
    """Why, with the figures."""
    actor: str
    """Who locked it; `guard` for a limit."""
    since_ms: float
    """When it began, in ms."""
    until_ms: float | None = None
    """When it ends by itself, in ms; unset for a lock that a person has to lift."""


@dataclass(frozen=True, slots=True)
class ListLocksResponse(Answer):
    """The running locks."""

    locks: tuple[Lock, ...]
    """By instrument and cause."""


@dataclass(frozen=True, slots=True)
class Trade(Answer):
    """An open trade."""

    id: str
    """Trade id."""
    instrument: str
    """Instrument name."""
    price: Decimal | None
    """Opening price, a decimal; empty if it can't be read."""
    current_units: Decimal
    """Units still open, signed, a decimal."""
    initial_units: Decimal | None
    """Units at opening, signed, a decimal; empty if they can't be read."""
    unrealized_pl: Decimal | None
    """Unrealized profit and loss, in home currency; empty if it can't be read."""
    open_time: str
    """Opening time, RFC 3339 with nine fractional digits; empty if it can't be read."""
    client_id: str
    """Client id; empty if the trade was opened by hand."""
    client_tag: str
    """Client tag; empty if the trade was opened by hand."""
    stop_loss_price: Decimal | None
    """Price of the stop loss; empty if there is none."""
    take_profit_price: Decimal | None
    """Price of the take profit; empty if there is none."""
    stop_loss_state: str
    """State of the stop loss order, such as PENDING, as OANDA names it; empty if there is none."""
    take_profit_state: str
    """State of the take profit order; empty if there is none."""
    financing: Decimal | None
    """Financing paid or charged since the opening, in home currency; empty if it can't be read."""
    margin_used: Decimal | None
    """Margin in use, in home currency; empty if the broker gave none."""


@dataclass(frozen=True, slots=True)
class ListOpenTradesResponse(Answer):
    """Open trades."""

    trades: tuple[Trade, ...]
    """The trades, oldest first."""
    last_transaction_id: str
    """Id of the last transaction included."""
    left_out: tuple[LeftOut, ...]
    """Members that can't be read."""


@dataclass(frozen=True, slots=True)
class SessionState(Answer):
    """State of an instrument's trading sessions."""

    open: bool
    """Whether it may be traded now."""
    active: tuple[str, ...]
    """Names of the sessions in progress."""
    minutes_to_close: float | None = None
    """Minutes until trading stops; unset while closed or always open."""
    closes_at_ms: float | None = None
    """When trading stops, in ms; unset while closed or always open."""
    opens_at_ms: float | None = None
    """When trading starts next, in ms; unset while open."""


@dataclass(frozen=True, slots=True)
class Pair(Answer):
    """An instrument and its session."""

    instrument: str
    """Instrument name such as EUR_USD."""
    open: bool
    """Whether it may be traded now; the same as session.open."""
    session: SessionState | None = None
    """Its current session state."""
    minutes_to_close: float | None = None
    """Minutes until trading stops; unset while closed or always open."""


@dataclass(frozen=True, slots=True)
class ListPairsResponse(Answer):
    """The instruments."""

    pairs: tuple[Pair, ...]
    """One entry per instrument, sorted by name."""


@dataclass(frozen=True, slots=True)
class ParameterChange(Answer):
    """One change of parameters, of one or several instruments at once."""

    id: str
    """Its id."""
    ts_ms: float
    """When it was made, in ms."""
    actor: str
    """Name of the key that made it."""
    reason: str
    """Why it was made, as given."""
    run: str
    """The research run that judged the parameters; empty without one. Taking a change back restores
    the run of the parameters that come back."""
    forced_by: str
    """Who forced it against its verdict; empty when it was not forced."""
    rolls_back: str
    """Id of the change that it takes back; empty for a promotion."""
    changed: tuple[ChangedParameters, ...]
    """What changed, by instrument."""


@dataclass(frozen=True, slots=True)
class ListParameterChangesResponse(Answer):
    """Changes of parameters."""

    changes: tuple[ParameterChange, ...]
    """The newest first."""


@dataclass(frozen=True, slots=True)
class ParametersInForce(Answer):
    """The parameters of one instrument and where they come from."""

    instrument: str
    """Instrument name."""
    values: Mapping[str, float]
    """Every parameter by name; empty when what is stored is invalid."""
    digest: str
    """Sixteen hexadecimal digits that tell these parameters from all others; empty when invalid."""
    fault: str
    """What is wrong with the stored parameters; empty when they are valid."""
    change: ParameterChange | None = None
    """The change that put them into force; unset for the defaults and for a value set by hand."""


@dataclass(frozen=True, slots=True)
class ListParametersResponse(Answer):
    """The parameters in force."""

    parameters: tuple[ParametersInForce, ...]
    """One entry per instrument, sorted by name."""


@dataclass(frozen=True, slots=True)
class Position(Answer):
    """The position in one instrument."""

    instrument: str
    """Instrument name."""
    long_units: Decimal
    """Long units, a decimal, 0 or more."""
    short_units: Decimal
    """Short units, a decimal, 0 or less."""
    long_average_price: str
    """Average price of the long side, a decimal; empty if there is none."""
    short_average_price: str
    """Average price of the short side, a decimal; empty if there is none."""
    unrealized_pl: Decimal | None
    """Profit and loss of open units, in home currency; empty if it can't be read."""
    margin_used: Decimal | None
    """Margin in use, in home currency; empty if it can't be read."""


@dataclass(frozen=True, slots=True)
class ListPositionsResponse(Answer):
    """Open positions."""

    positions: tuple[Position, ...]
    """One entry per instrument with open units."""
    last_transaction_id: str
    """Id of the last transaction included."""
    left_out: tuple[LeftOut, ...]
    """Members that can't be read."""


@dataclass(frozen=True, slots=True)
class RankedInstrument(Answer):
    """One instrument in the ranking."""

    instrument: str
    """Instrument name."""
    selected: bool
    """Whether the instrument is among the Top-K."""
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
    """Current session state."""


@dataclass(frozen=True, slots=True)
class ListRankingResponse(Answer):
    """The ranking."""

    ranking: tuple[RankedInstrument, ...]
    """Instruments with open gates first, then by score."""
    weights_ts_ms: float | None = None
    """When the weights were computed, in ms; unset before the first allocation."""


@dataclass(frozen=True, slots=True)
class ListTradesResponse(Answer):
    """A page of trades."""

    trades: tuple[JournalTrade, ...]
    """Newest first."""
    next_page_token: str
    """Token of the next page; empty on the last."""


@dataclass(frozen=True, slots=True)
class Manifold(Answer):
    """The live state of one instrument, from complete candles and the live mid as a provisional
    last bar."""

    instrument: str
    """Instrument name such as EUR_USD."""
    ts_ms: float
    """Time of the price in ms, not the time of writing."""
    price: Decimal
    """The live mid, a decimal."""
    metrics: Metrics | None = None
    """Metrics of the window that ends with that price."""
    coeffs: Coefficients | None = None
    """Coefficients of the same window."""


@dataclass(frozen=True, slots=True)
class NotificationTestResult(Answer):
    """The outcome of a test message to one destination."""

    destination: str
    """Its name: the scheme of its URL and a digest. The URL is never shown."""
    delivered: bool
    """Whether it took the message."""
    error: str
    """Why not; empty if it did."""


@dataclass(frozen=True, slots=True)
class PlanDrainResponse(Answer):
    """The plan of a drain. Margins are decimals in home currency."""

    drain_id: str
    """Id to execute the plan with."""
    margin_used: Decimal
    """Margin in use."""
    margin_cap: Decimal
    """Margin that may be in use."""
    excess: Decimal
    """Margin over the cap; "0" if there is none."""
    closes: tuple[DrainClose, ...]
    """What would be closed, largest first."""
    kill_switch: bool
    """Whether the kill switch is engaged, which is required to execute the plan."""
    ts_ms: float
    """When the plan was made, in ms."""


@dataclass(frozen=True, slots=True)
class PromoteParametersResponse(Answer):
    """The change that was made, or would be made."""

    dry_run: bool
    """Whether nothing was changed."""
    change: ParameterChange | None = None
    """The change."""


@dataclass(frozen=True, slots=True)
class ReconcileResponse(Answer):
    """Result of a reconcile cycle."""

    cycle_id: str
    """Id of the cycle."""
    dry_run: bool
    """Whether it was a dry run, which sends no orders."""
    actions: tuple[Action, ...]
    """One action per instrument considered, sorted by name."""
    ts_ms: float
    """When the cycle ran, in ms."""


@dataclass(frozen=True, slots=True)
class RollBackParametersResponse(Answer):
    """The change that was made, or would be made."""

    dry_run: bool
    """Whether nothing was changed."""
    change: ParameterChange | None = None
    """The change."""


@dataclass(frozen=True, slots=True)
class SetKillSwitchResponse(Answer):
    """State of the kill switch after the change."""

    kill_switch: bool
    """Whether it is engaged."""
    reason: str
    """Why it was set."""
    actor: str
    """Who set it."""
    ts_ms: float
    """When it was set, in ms."""
    durable: bool
    """Whether the change is on the store's disk. An engage that is not is in force all the same, in
    guard and gateway, and is written when the store takes it."""


@dataclass(frozen=True, slots=True)
class SetLockResponse(Answer):
    """The instrument's running locks after the change."""

    locks: tuple[Lock, ...]
    """By cause."""


@dataclass(frozen=True, slots=True)
class StreamError(Answer):
    """An error inside a stream: a transcoded stream can't change its HTTP status any more."""

    reason: str
    """Stable reason, such as STORE_UNAVAILABLE."""
    message: str
    """Message for people."""


@dataclass(frozen=True, slots=True)
class StreamEventsResponse(Answer):
    """One message of the stream."""

    event: Event | None = None
    """Something happened."""
    error: EventStreamError | None = None
    """The stream failed and ends."""
    heartbeat: EventHeartbeat | None = None
    """Nothing happened for a while, and the connection works."""


@dataclass(frozen=True, slots=True)
class StreamManifoldsResponse(Answer):
    """One event of the stream."""

    manifold: Manifold | None = None
    """A manifold was written."""
    error: StreamError | None = None
    """The stream failed and ends."""
    heartbeat: Heartbeat | None = None
    """Nothing was written for a while, and the connection works."""


@dataclass(frozen=True, slots=True)
class TestNotificationsResponse(Answer):
    """Outcomes of a test."""

    results: tuple[NotificationTestResult, ...]
    """One for each destination; none where no URL is set."""
