"""Names of all Valkey keys and channels. They are public: operators read them directly."""

GATES_BLOB = "opt:rolling:gates_blob"
ALLOCATION_WEIGHTS = "risk:allocation_weights"
ALLOC_BUDGET = "risk:alloc_budget"
KILL_SWITCH = "ops:kill_switch"
KILL_SWITCH_AUDIT = "ops:kill_switch:audit"
BROKER_LINK = "ops:broker_link"
STORE_ACCOUNT = "ops:account"
"""JSON of the broker account that this store belongs to."""
ORDER_FENCE = "ops:order_fence"
"""The newest fencing token of an order; an older one is refused."""
PARAMETER_CHANGES = "opt:config_changes"
"""STREAM of changes of the parameters in force as JSON; kept for good."""
PARAMETER_ORIGINS = "opt:config_origins"
"""HASH of the change that put an instrument's parameters into force as JSON, by instrument."""
GUARD_DECISIONS = "guard:decisions"
MARGIN_GATE = "guard:margin_gate"
MANAGED_UNITS = "guard:managed_units"
"""HASH of signed units that the stack answers for, by instrument, and ``ts`` in ms."""
RISK_EQUITY = "guard:risk:equity"
"""JSON of the baselines that daily loss and drawdown are measured from."""
RISK_ACTIVITY = "guard:risk:activity"
"""JSON of turnover, entries, stop-outs and refusals, counted from the broker's ledger."""
RISK_BREAKER = "guard:risk:breaker"
"""JSON of the tripped breaker; absent while there is none."""
REFUSED_ORDERS = "guard:refused_orders"
"""HASH of entries that the broker refused as JSON, by client order id, until they are counted."""
RISK_LOCKS = "guard:locks"
"""HASH of locks as JSON, by instrument."""
TRADE_STOPS = "guard:trade_stops"
"""HASH of the stops that entries were sent with as JSON, by client order id."""
OPEN_ORDERS = "guard:open_orders"
"""HASH of orders whose outcome is unknown, by ``{instrument}:{client_order_id}``."""

MANIFOLD_CHANNEL = "ws:manifold"
CANDLES_CHANNEL = "md:candles"
GATES_CHANNEL = "opt:rolling:gates"
WEIGHTS_CHANNEL = "risk:weights"


def damaged(key: str) -> str:
    """Where a value of a wrong type is set aside, for a person to look at."""
    return f"{key}:damaged"


def candles(instrument: str, granularity: str) -> str:
    """HASH of packed candle chunks."""
    return f"md:candles:{instrument}:{granularity}"


def candle_coverage(instrument: str, granularity: str) -> str:
    """JSON of the contiguous time range of history that was fetched."""
    return f"md:coverage:{instrument}:{granularity}"


def signal_index(instrument: str) -> str:
    """ZSET of signal keys scored by their time in ms."""
    return f"sep:signal_index:{instrument}"


def signal(instrument: str, ts_ns: int) -> str:
    """JSON of one signal."""
    return f"sep:signal:{instrument}:{ts_ns}"


def manifold(instrument: str) -> str:
    """JSON of the live manifold."""
    return f"ws:last:manifold:{instrument}"


def cooldown(instrument: str) -> str:
    """Exists while the instrument is in cooldown."""
    return f"opt:rolling:cooldown:{instrument}"


def gate_memory(field: str, instrument: str) -> str:
    """Hysteresis memory; ``field`` is eligible, passes, fails, misses or watermark."""
    return f"opt:rolling:{field}:{instrument}"


def backtest_summary(instrument: str) -> str:
    """JSON of the last evaluation."""
    return f"bt:rolling:summary:{instrument}"


def backtest_history(instrument: str) -> str:
    """ZSET of hourly samples behind the adaptive floors."""
    return f"bt:rolling:hist:{instrument}"


def best_config(instrument: str) -> str:
    """JSON of the instrument's best parameters; exists only where a sweep found some."""
    return f"opt:best_config:{instrument}"


def lease(name: str) -> str:
    """HASH of the writer lease."""
    return f"ops:lease:{name}"


def lease_counter(name: str) -> str:
    """The last fencing token issued."""
    return f"ops:lease_token:{name}"


def order_claim(client_order_id: str) -> str:
    """JSON with a TTL, written before an order with this id is sent."""
    return f"ops:order_claim:{client_order_id}"
