"""Prometheus metrics of the gateway."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class GatewayMetrics:
    """Every metric that the gateway defines itself."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sep_oanda_requests_total",
            "Requests to the broker; status is a class such as 2xx, or why there was no response",
            ["endpoint", "status"],
            registry=registry,
        )
        self.latency = Histogram(
            "sep_oanda_latency_seconds",
            "Time until the broker's response was complete",
            ["endpoint"],
            registry=registry,
        )
        self.limiter_waits = Counter(
            "sep_oanda_limiter_waits_total",
            "Requests or connections delayed by the rate limit",
            ["limit"],
            registry=registry,
        )
        self.limiter_wait_seconds = Counter(
            "sep_oanda_limiter_wait_seconds_total",
            "Total delay by the rate limit",
            ["limit"],
            registry=registry,
        )
        self.circuit_open = Gauge(
            "sep_oanda_circuit_open",
            "1 while the circuit breaker refuses requests",
            registry=registry,
        )
        self.connected = Gauge(
            "sep_broker_connected", "1 while the broker responds", registry=registry
        )
        self.candles_stored = Counter(
            "sep_candles_stored_total",
            "Candles that were new or changed",
            ["instrument"],
            registry=registry,
        )
        self.candles_quarantined = Counter(
            "sep_candles_quarantined_total",
            "Candles that were quarantined",
            ["instrument", "reason"],
            registry=registry,
        )
        self.candles_refilled = Counter(
            "sep_candles_refilled_total",
            "Candles that the audit added or corrected in covered history",
            ["instrument"],
            registry=registry,
        )
        self.prices_quarantined = Counter(
            "sep_prices_quarantined_total",
            "Prices that were quarantined",
            ["instrument", "reason"],
            registry=registry,
        )
        self.last_candle_age = Gauge(
            "sep_last_candle_age_seconds",
            "Time since the newest stored bar ended",
            ["instrument"],
            registry=registry,
        )
        self.orders = Counter(
            "sep_oanda_orders_total", "Orders by outcome", ["state"], registry=registry
        )
        self.stream_connected = Gauge(
            "sep_oanda_stream_connected",
            "1 while a stream is open and not silent",
            ["stream"],
            registry=registry,
        )
        self.stream_breaks = Counter(
            "sep_oanda_stream_breaks_total",
            "Streams that ended or went silent",
            ["stream"],
            registry=registry,
        )
        self.ledger_contiguous = Gauge(
            "sep_ledger_contiguous",
            "1 while no transaction of the account is known to be missing",
            registry=registry,
        )
        self.ledger_recovered = Counter(
            "sep_ledger_recovered_total",
            "Transactions that the stream missed and a lookup recovered",
            registry=registry,
        )
        self.left_out = Gauge(
            "sep_left_out",
            "Members of the broker's newest answers that are left out, by kind",
            ["kind"],
            registry=registry,
        )
        self.left_out_total = Counter(
            "sep_members_left_out_total",
            "Members of the broker's answers that were left out",
            ["kind"],
            registry=registry,
        )
        self.newest_transaction = Gauge(
            "sep_newest_transaction",
            "Id of the account's newest transaction that the broker has named",
            registry=registry,
        )
        self.stale_views = Counter(
            "sep_stale_views_total",
            "Views of the account that stayed older than a known transaction",
            ["view"],
            registry=registry,
        )
        self.account_unsupported = Gauge(
            "sep_account_unsupported",
            "1 while the account is of a kind that the stack can't trade",
            ["kind"],
            registry=registry,
        )
        self.clock_skew = Gauge(
            "sep_broker_clock_skew_seconds",
            "How far the broker's clock is ahead of ours",
            registry=registry,
        )
        self.access_denied = Gauge(
            "sep_broker_access_denied",
            "1 while the broker refuses the token or the account",
            registry=registry,
        )
        self.refused_orders = Counter(
            "sep_orders_refused_total",
            "Orders that the gateway refused to send",
            ["reason"],
            registry=registry,
        )
