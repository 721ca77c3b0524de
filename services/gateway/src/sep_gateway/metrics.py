"""What the gateway tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class GatewayMetrics:
    """Every metric of the gateway's own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sep_oanda_requests_total",
            "Requests to the broker; status is a class such as 2xx, or why there was no answer",
            ["endpoint", "status"],
            registry=registry,
        )
        self.latency = Histogram(
            "sep_oanda_latency_seconds",
            "Time until the broker had answered in full",
            ["endpoint"],
            registry=registry,
        )
        self.limiter_waits = Counter(
            "sep_oanda_limiter_waits_total",
            "Requests or connections that the rate limit held back",
            ["limit"],
            registry=registry,
        )
        self.limiter_wait_seconds = Counter(
            "sep_oanda_limiter_wait_seconds_total",
            "Time that the rate limit held them back",
            ["limit"],
            registry=registry,
        )
        self.circuit_open = Gauge(
            "sep_oanda_circuit_open", "1 while a dead broker is not asked", registry=registry
        )
        self.connected = Gauge(
            "sep_broker_connected", "1 while the broker answers", registry=registry
        )
        self.candles_stored = Counter(
            "sep_candles_stored_total",
            "Candles that were new or changed",
            ["instrument"],
            registry=registry,
        )
        self.candles_quarantined = Counter(
            "sep_candles_quarantined_total",
            "Candles that were refused",
            ["instrument", "reason"],
            registry=registry,
        )
        self.candles_refilled = Counter(
            "sep_candles_refilled_total",
            "Candles that were missing or different in history that counted as known",
            ["instrument"],
            registry=registry,
        )
        self.prices_quarantined = Counter(
            "sep_prices_quarantined_total",
            "Prices that were refused",
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
            "sep_oanda_orders_total", "Orders by what became of them", ["state"], registry=registry
        )
        self.stream_connected = Gauge(
            "sep_oanda_stream_connected",
            "1 while a stream is heard",
            ["stream"],
            registry=registry,
        )
        self.stream_breaks = Counter(
            "sep_oanda_stream_breaks_total",
            "Streams that ended or fell silent",
            ["stream"],
            registry=registry,
        )
        self.ledger_contiguous = Gauge(
            "sep_ledger_contiguous",
            "1 while every transaction of the account is known to have been seen",
            registry=registry,
        )
        self.ledger_recovered = Counter(
            "sep_ledger_recovered_total",
            "Transactions that a stream missed and a lookup found",
            registry=registry,
        )
