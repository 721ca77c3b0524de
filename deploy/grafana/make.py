"""The dashboards; `make generate` writes them to ``dashboards/``.

A test runs every query against the metrics of a healthy stack.
"""

from deploy.grafana.render import Dashboard, Panel, quantile, render

_ON_OFF = ((None, "red"), (1.0, "green"))
_OFF_ON = ((None, "green"), (1.0, "red"))

TRADING = Dashboard(
    "sep-trading",
    "SEP trading",
    (
        Panel(
            "Gates",
            {
                "{{instrument}}": 'sum by (instrument) (sep_rolling_gate{eligible="1"})'
                " or sum by (instrument) (sep_rolling_gate) * 0"
            },
            about="1 while the gate is open; 0 outside the sessions of the instrument.",
            kind="state-timeline",
            steps=_ON_OFF,
        ),
        Panel(
            "Weights",
            {"{{instrument}}": "sep_allocation_weight", "all": "sum(sep_allocation_weight)"},
            about="Fraction of margin available; the sum is at most 0.30.",
            unit="percentunit",
            bounds=(0, 0.35),
            steps=((None, "green"), (0.30, "red")),
        ),
        Panel(
            "NAV against Calmar",
            {
                "NAV": "sep_nav",
                "Calmar of the selected instruments, 6 h": "min(avg_over_time(sep_bt_calmar[6h])"
                " and on(instrument) (sep_allocator_selected == 1))",
            },
            about="If NAV falls while the selected Calmar is positive, check exits and slippage.",
            right="Calmar of the selected instruments, 6 h",
        ),
        Panel(
            "Margin in use",
            {"utilisation": "sep_margin_utilization"},
            about="The margin gate closes at 0.30 and opens again below 0.25.",
            unit="percentunit",
            bounds=(0, 0.5),
            steps=((None, "green"), (0.25, "orange"), (0.30, "red")),
        ),
        Panel("Risk budget", {"budget": "sep_risk_budget"}, unit="currencyUSD"),
        Panel(
            "Calmar by instrument",
            {"{{instrument}}": "sep_bt_calmar"},
            about="Of the 30-day slice that the gates are evaluated on; the base floor is 0.15.",
        ),
        Panel(
            "Cooldown",
            {"{{instrument}}": "sep_allocator_cooldown"},
            about="1 for two hours after four misses in a row.",
            kind="state-timeline",
            steps=_OFF_ON,
        ),
        Panel(
            "Market open",
            {"{{instrument}}": "sep_market_open"},
            kind="state-timeline",
            steps=_ON_OFF,
        ),
        Panel(
            "Decisions by reason",
            {
                "{{decision}} {{reason}}": "sum by (decision, reason) "
                "(rate(sep_guard_decisions_total[5m]))"
            },
            about="Decisions of the guard per second, by reason.",
            unit="ops",
        ),
        Panel(
            "Orders by outcome",
            {"{{outcome}}": "sum by (outcome) (increase(sep_guard_orders_total[1h]))"},
        ),
        Panel(
            "Kill switch",
            {"engaged": "sep_kill_switch"},
            kind="state-timeline",
            steps=_OFF_ON,
        ),
        Panel(
            "Headroom of the risk limits",
            {"{{limit}}": "min by (limit) (sep_risk_headroom_ratio)"},
            about="Share of each limit that is left. At 0 the limit cuts, locks, or trips.",
            unit="percentunit",
            bounds=(0, 1),
            steps=((None, "red"), (0.2, "green")),
        ),
        Panel(
            "Breaker",
            {"{{limit}}": "max by (limit) (sep_risk_breaker)"},
            about="1 from a trip until a person acknowledges it.",
            kind="state-timeline",
            steps=_OFF_ON,
        ),
        Panel(
            "Locks",
            {
                "{{instrument}}": "max by (instrument) (sep_risk_lock)"
                " or sum by (instrument) (sep_allocator_cooldown) * 0"
            },
            about="1 while the instrument takes no entry.",
            kind="state-timeline",
            steps=_OFF_ON,
        ),
        Panel(
            "Gate changes",
            {
                "{{instrument}} to {{to}}": "sum by (instrument, to) "
                "(increase(sep_gate_flips_total[1h]))"
            },
        ),
    ),
)

MACHINERY = Dashboard(
    "sep-machinery",
    "SEP machinery",
    (
        Panel(
            "Ages",
            {
                "gates blob": "sep_gates_blob_age_seconds",
                "weights": "sep_allocation_weights_age_seconds",
                "newest candle": "max(sep_last_candle_age_seconds)",
            },
            about="Past 180 s the gates blob is stale: weights are held and entries refused.",
            unit="s",
            steps=((None, "green"), (180.0, "red")),
        ),
        Panel(
            "Serving",
            {"{{service}}": "sep_serving"},
            kind="state-timeline",
            steps=_ON_OFF,
        ),
        Panel(
            "Calls, 99th percentile",
            {
                "{{service}} {{method}}": quantile(
                    0.99, "sep_grpc_latency_seconds", "service, method"
                )
            },
            unit="s",
        ),
        Panel(
            "Calls by outcome",
            {"{{service}} {{code}}": "sum by (service, code) (rate(sep_grpc_requests_total[5m]))"},
            unit="reqps",
        ),
        Panel(
            "Broker, 99th percentile",
            {"{{endpoint}}": quantile(0.99, "sep_oanda_latency_seconds", "endpoint")},
            unit="s",
        ),
        Panel(
            "Broker by outcome",
            {
                "{{endpoint}} {{status}}": "sum by (endpoint, status) "
                "(rate(sep_oanda_requests_total[5m]))"
            },
            unit="reqps",
        ),
        Panel(
            "Broker link",
            {
                "link": "sep_broker_connected",
                "{{stream}} stream": "sep_oanda_stream_connected",
                "ledger without a gap": "sep_ledger_contiguous",
            },
            kind="state-timeline",
            steps=_ON_OFF,
        ),
        Panel(
            "Waiting for the rate limit",
            {"{{limit}}": "sum by (limit) (rate(sep_oanda_limiter_wait_seconds_total[5m]))"},
            unit="s",
        ),
        Panel(
            "Loops, 99th percentile",
            {"{{service}} {{loop}}": quantile(0.99, "sep_loop_duration_seconds", "service, loop")},
            unit="s",
        ),
        Panel(
            "Time since the last successful tick",
            {"{{service}} {{loop}}": "time() - sep_loop_last_success_timestamp_seconds"},
            about="Past 300 s a loop counts as stalled.",
            unit="s",
        ),
        Panel("Lag of loops", {"{{service}} {{loop}}": "sep_loop_lag_seconds"}, unit="s"),
        Panel(
            "Span integrity",
            {"intact": "sep_span_integrity_ok"},
            kind="state-timeline",
            steps=_ON_OFF,
        ),
        Panel("Memory", {"{{service}}": "process_resident_memory_bytes"}, unit="bytes"),
        Panel(
            "Processor",
            {"{{service}}": "rate(process_cpu_seconds_total[5m])"},
            unit="percentunit",
        ),
        Panel(
            "Candles stored",
            {"{{instrument}}": "sum by (instrument) (rate(sep_candles_stored_total[5m]))"},
            unit="ops",
        ),
        Panel(
            "Weights held", {"held": "sep_allocation_held"}, kind="state-timeline", steps=_OFF_ON
        ),
    ),
)

DASHBOARDS = (TRADING, MACHINERY)

__all__ = ["DASHBOARDS", "render"]
