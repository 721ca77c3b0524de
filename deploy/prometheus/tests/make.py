"""Generates the unit tests of the rules: `make generate` writes them.

Each alert has a scenario in which its fault begins while the market is open and lasts into the
weekend. The alert must fire once its ``for`` duration has passed and not before, and must stop when
the market closes, except for the limits of the account, which a person has to look into. A healthy
stack must not raise any alert. The clock of promtool begins on Thursday, 1970-01-01, 00:00 UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PAIRS = ("EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF")
SERVICES = ("gateway", "evaluator", "allocator", "guard")
LOOPS = {"candles": "evaluator", "evaluation": "evaluator", "reconcile": "guard"}
ACCOUNT_LIMITS = ("daily_loss", "drawdown", "turnover")
WATCHDOG = "SepWatchdog"
"""Fires always; a service outside misses it when it stops."""
OPEN, CLOSED = 90, 60
"""Minutes of open market, then of weekend, in each scenario."""


@dataclass
class Scenario:
    """How the series differ from a healthy stack's, and the alert that must fire.

    ``delay`` is in minutes; a series with the value None is missing. ``always`` means that the
    alert stands at the weekend too, ``at_once`` that it waits for nothing.
    """

    alert: str
    series: Mapping[str, str | None]
    delay: int
    labels: dict[str, str]
    summary: str
    always: bool = False
    at_once: bool = False


def healthy() -> dict[str, str]:
    """Every series of a healthy stack, by minute; the market closes after ``OPEN``."""
    whole = OPEN + CLOSED
    series = {
        "sep_gates_blob_age_seconds": f"30x{whole}",
        "sep_allocation_weights_age_seconds": f"30x{whole}",
        "sep_allocation_held": f"0x{whole}",
        "sep_span_integrity_ok": f"1x{whole}",
        "sep_broker_connected": f"1x{whole}",
        "sep_nav": f"100000+1x{whole}",
        'up{job="sep"}': f"1x{whole}",
    }
    for pair in PAIRS:
        label = f'{{instrument="{pair}"}}'
        series[f"sep_market_open{label}"] = f"1x{OPEN} 0x{CLOSED}"
        series[f"sep_bt_calmar{label}"] = f"0.8x{whole}"
        series[f"sep_allocator_cooldown{label}"] = f"0x{whole}"
        series[f"sep_allocator_selected{label}"] = f"{int(pair < 'EUR_K')}x{whole}"
        series[gate(pair, 1)] = f"1x{OPEN} _x{CLOSED}"
        series[gate(pair, 0)] = f"_x{OPEN + 1} 1x{CLOSED - 1}"
        for cause in ("rejects", "stop_outs"):
            series[lock(pair, cause)] = f"_x{whole}"
    for limit in (*ACCOUNT_LIMITS, "leverage"):
        series[headroom(limit)] = f"{0.05 if limit == 'leverage' else 0.9}x{whole}"
    for limit in (*ACCOUNT_LIMITS, "equity"):
        series[breaker(limit)] = f"0x{whole}"
    for service in SERVICES:
        series[f'sep_serving{{service="{service}"}}'] = f"1x{whole}"
    for loop, service in LOOPS.items():
        name = f'sep_loop_last_success_timestamp_seconds{{loop="{loop}",service="{service}"}}'
        series[name] = f"0+60x{whole}"
    return series


def gate(pair: str, eligible: int) -> str:
    """The name of a gate's series."""
    return f'sep_rolling_gate{{instrument="{pair}",eligible="{eligible}",buf="0.10"}}'


def lock(pair: str, cause: str) -> str:
    """The name of a lock's series."""
    return f'sep_risk_lock{{instrument="{pair}",cause="{cause}"}}'


def breaker(limit: str) -> str:
    """The name of the breaker's series."""
    return f'sep_risk_breaker{{limit="{limit}"}}'


def headroom(limit: str) -> str:
    """The name of a limit's headroom."""
    return f'sep_risk_headroom_ratio{{limit="{limit}"}}'


def scenarios() -> list[Scenario]:
    """One scenario for each condition under which an alert must fire."""
    whole = OPEN + CLOSED
    few = {gate(pair, 1): None for pair in PAIRS[2:]}
    cooling = {f'sep_allocator_cooldown{{instrument="{p}"}}': f"1x{whole}" for p in PAIRS[:5]}
    stalled = 'sep_loop_last_success_timestamp_seconds{loop="reconcile",service="guard"}'
    age = "sep_gates_blob_age_seconds"
    page, ticket = {"severity": "page"}, {"severity": "ticket"}
    stale = "The gates blob is stale; the allocator holds its weights and entries are refused"
    away = "The {} does not serve"
    link = "The broker does not answer; nothing can be ordered, stops remain at the broker"
    return [
        Scenario("SepGatesBlobStale", {age: f"181x{whole}"}, 2, page, stale),
        Scenario("SepGatesBlobStale", {age: None}, 2, page, stale),
        Scenario(
            "SepFewEligible", few, 10, ticket,
            "Only 2 gates are open while the market is open",
        ),
        Scenario(
            "SepCooldownLockout", cooling, 30, ticket,
            "5 instruments are in cooldown after four misses in a row",
        ),
        Scenario(
            "SepSpanIntegrityBroken", {"sep_span_integrity_ok": f"0x{whole}"}, 2, page,
            "A backtest does not come from one complete long run; its gate is closed",
        ),
        Scenario(
            "SepWeightsHeld", {"sep_allocation_held": f"1x{whole}"}, 5, page,
            "The allocator holds its previous weights because the gates blob is not valid",
        ),
        Scenario(
            "SepBreakerTripped", {breaker("drawdown"): f"1x{whole}"}, 0,
            {**page, "limit": "drawdown"},
            "The breaker is tripped by drawdown; entries are refused until it is acknowledged",
            always=True,
        ),
        Scenario(
            "SepInstrumentLocked", {lock("EUR_USD", "stop_outs"): f"1x{whole}"}, 0,
            {**ticket, "instrument": "EUR_USD", "cause": "stop_outs"},
            "EUR_USD takes no entry: locked by stop_outs",
        ),
        Scenario(
            "SepEqualRejects", {lock("USD_JPY", "rejects"): f"1x{whole}"}, 0,
            {**page, "instrument": "USD_JPY"},
            "The broker refuses every entry in USD_JPY for the same reason",
        ),
        Scenario(
            "SepRiskHeadroomLow", {headroom("daily_loss"): f"0.15x{whole}"}, 5,
            {**ticket, "limit": "daily_loss"},
            "daily_loss: 15% of the limit is left before the breaker trips",
            always=True,
        ),
        Scenario(
            "SepLoopStalled", {stalled: f"0x{whole}"}, 7,
            {**page, "loop": "reconcile", "service": "guard"},
            "guard: no successful tick of reconcile for 5 minutes",
        ),
        Scenario(
            "SepServiceAway", {'sep_serving{service="guard"}': f"0x{whole}"}, 2,
            {**page, "service": "guard"}, away.format("guard"),
        ),
        Scenario(
            "SepServiceAway", {'sep_serving{service="gateway"}': None}, 2,
            {**page, "service": "gateway"}, away.format("gateway"),
        ),
        Scenario(
            "SepBrokerLinkDown", {"sep_broker_connected": f"0x{whole}"}, 1, page, link
        ),
        Scenario("SepBrokerLinkDown", {"sep_broker_connected": None}, 1, page, link),
        Scenario(
            "SepMarginAboveCeiling",
            {'sep_margin_used': f"12000x{whole}", 'sep_margin_ceiling': f"10000x{whole}"},
            2, page,
            "Margin in use 12k is above the budget's ceiling and its band",
        ),
        Scenario(
            "SepMarginMismatch",
            {'sep_margin_model_ratio': f"1.5x{whole}"},
            5, ticket,
            "The broker counts 50% more or less margin than the guard",
        ),
        Scenario(
            "SepOrdersRefused",
            {'sep_guard_orders_total{instrument="EUR_USD",outcome="REJECTED"}': f"0+1x{whole}"},
            5, {**ticket, "instrument": "EUR_USD"},
            "The broker refuses orders in EUR_USD again and again",
            at_once=True,
        ),
        Scenario(
            "SepOrderUnknown",
            {'sep_order_unknown_seconds{instrument="EUR_USD"}': f"61x{whole}"},
            1, {**page, "instrument": "EUR_USD"},
            "The outcome of an order in EUR_USD is unknown for more than a minute", at_once=True,
        ),
        Scenario(
            "SepStopMissing",
            {'sep_trade_stop_faults{fault="STOP_MISSING",instrument="EUR_USD"}': f"1x{whole}"},
            1, {**page, "instrument": "EUR_USD", "fault": "STOP_MISSING"},
            "EUR_USD: 1 trades have no stop, or one that was moved away",
        ),
        Scenario(
            "SepSecondWriter",
            {'sep_risk_breaker{limit="second_writer"}': f"1x{whole}"},
            1, {**page, "limit": "second_writer"},
            "Another writer fills orders as this stack on the same account; entries are stopped",
            at_once=True,
        ),
        Scenario(
            "SepAccountUnsupported",
            {'sep_account_unsupported{kind="HEDGING"}': f"1x{whole}"},
            1, {**page, "kind": "HEDGING"},
            "The account is of a kind that can't be traded: HEDGING",
        ),
        Scenario(
            "SepInstrumentLeftOut",
            {'sep_instrument_left_out{instrument="XAU_USD"}': f"1x{whole}"},
            5, {**ticket, "instrument": "XAU_USD"},
            "XAU_USD is left out: not listed by the broker, or a trade can't be read",
        ),
        Scenario(
            "SepBrokerClockSkew",
            {'sep_broker_clock_skew_seconds': f"-3x{whole}"},
            5, ticket,
            "This clock differs from the broker's by 3 s",
        ),
        Scenario(
            "SepBrokerAccessDenied",
            {'sep_broker_access_denied': f"1x{whole}"},
            1, page,
            "The broker refuses the token or the account",
        ),
        Scenario(
            "SepUnitsOutsideSession",
            {'sep_units_outside_session{instrument="EUR_USD"}': f"1000x{whole}"},
            5, {**page, "instrument": "EUR_USD"},
            "1k units of EUR_USD are held while its session is closed", always=True,
        ),
        Scenario(
            "SepNotificationsUndelivered",
            {'sep_notifications_oldest_undelivered_seconds': f"900x{whole}"},
            5, ticket,
            "A notification has not been delivered for 15m 0s", always=True,
        ),
        Scenario(
            "SepDivergence",
            {
                'sep_divergence_cash{cause="price"}': f"-99x{whole}",
                'sep_divergence_cash{cause="unexplained"}': f"-150x{whole}",
                'sep_divergence_tolerance_cash': f"100x{whole}",
            },
            5, {**ticket, "cause": "unexplained"},
            "Live and replay of the last day differ by 150 for the cause unexplained", always=True,
        ),
        Scenario(
            WATCHDOG, {}, 0, {"severity": "none"},
            "Prometheus evaluates its rules; a service outside misses this when it stops",
            always=True,
        ),
    ]  # fmt: skip


def scenario_test(scenario: Scenario) -> dict[str, Any]:
    """No alert before the delay has passed, firing after it, none on the weekend."""
    series = healthy()
    for name, values in scenario.series.items():
        if values is None:
            series.pop(name)
        else:
            series[name] = values
    anchor = scenario.alert.lower()
    expected = {
        "exp_labels": scenario.labels,
        "exp_annotations": {
            "summary": scenario.summary,
            "runbook": f"docs/operations/runbook.md#{anchor}",
        },
    }
    weekend = [expected] if scenario.always else []
    moments = {OPEN - 10: [expected], OPEN + 20: weekend, OPEN + 50: weekend}
    if scenario.delay and not scenario.at_once:
        moments = {scenario.delay - 1: [], **moments}
    return {
        "name": f"{scenario.alert} fires, and "
        + ("stands on the weekend" if scenario.always else "stops when the market closes"),
        "interval": "1m",
        "input_series": as_input(series),
        "alert_rule_test": [
            {"eval_time": f"{at}m", "alertname": scenario.alert, "exp_alerts": alerts}
            for at, alerts in moments.items()
        ],
    }


def healthy_test(alerts: list[str]) -> dict[str, Any]:
    """No alert at all, with the market open or closed."""
    return {
        "name": "a healthy stack raises no alert",
        "interval": "1m",
        "input_series": as_input(healthy()),
        "alert_rule_test": [
            {"eval_time": f"{at}m", "alertname": alert, "exp_alerts": []}
            for alert in alerts
            for at in (5, OPEN - 1, OPEN + 1, OPEN + CLOSED - 1)
        ],
    }


def few_sessions_test() -> dict[str, Any]:
    """While only two instruments can be traded, two open gates are no fault."""
    series = healthy()
    for pair in PAIRS[2:]:
        series[f'sep_market_open{{instrument="{pair}"}}'] = f"0x{OPEN + CLOSED}"
        series.pop(gate(pair, 1))
    return {
        "name": "few open gates raise no alert while few instruments can be traded",
        "interval": "1m",
        "input_series": as_input(series),
        "alert_rule_test": [
            {"eval_time": f"{OPEN - 10}m", "alertname": "SepFewEligible", "exp_alerts": []}
        ],
    }


def dead_stack_test() -> dict[str, Any]:
    """Nothing is scraped, so the rules use the hours of the calendar: Friday noon, Saturday."""
    labels = [{"severity": "page", "service": s} for s in SERVICES]
    return {
        "name": "a dead stack raises an alert on a weekday and none on a weekend",
        "interval": "30m",
        "input_series": [{"series": 'up{job="sep"}', "values": "0x144"}],
        "alert_rule_test": [
            {
                "eval_time": "36h",
                "alertname": "SepServiceAway",
                "exp_alerts": [
                    {
                        "exp_labels": label,
                        "exp_annotations": {
                            "summary": f"The {label['service']} does not serve",
                            "runbook": "docs/operations/runbook.md#sepserviceaway",
                        },
                    }
                    for label in labels
                ],
            },
            {"eval_time": "60h", "alertname": "SepServiceAway", "exp_alerts": []},
            {"eval_time": "60h", "alertname": "SepGatesBlobStale", "exp_alerts": []},
            {"eval_time": "60h", "alertname": "SepBrokerLinkDown", "exp_alerts": []},
        ],
    }


def divergence_tests() -> list[dict[str, Any]]:
    """Eight days in steps of half an hour; the market is closed in the last twelve hours."""
    hours, closed = 8 * 24, 12
    steps = 2 * hours
    falling = f"100000-5x{steps}"
    cases = {
        "fires while the selected Calmar is positive": (falling, "0.8", True),
        "does not fire while the selected Calmar is negative": (falling, "-0.2", False),
        "does not fire while NAV rises": (f"100000+5x{steps}", "0.8", False),
    }
    tests = []
    for name, (nav, calmar, fires) in cases.items():
        series = {"sep_nav": nav}
        for pair in PAIRS:
            label = f'{{instrument="{pair}"}}'
            selected = pair in {"EUR_USD", "AUD_USD"}
            # Instruments that are not selected don't count, however low their Calmar is.
            series[f"sep_bt_calmar{label}"] = f"{calmar if selected else -3}x{steps}"
            series[f"sep_allocator_selected{label}"] = f"{int(selected)}x{steps}"
            series[f"sep_market_open{label}"] = f"1x{steps - 2 * closed} 0x{2 * closed}"
        expected = {
            "exp_labels": {"severity": "ticket"},
            "exp_annotations": {
                "summary": "NAV fell by -1.68k in 7 days while the selected Calmar was positive",
                "runbook": "docs/operations/runbook.md#sepnavdivergence",
            },
        }
        moments = {6 * 24: [], hours - closed - 2: [expected] if fires else [], hours - 2: []}
        tests.append(
            {
                "name": f"SepNavDivergence {name}",
                "interval": "30m",
                "input_series": as_input(series),
                "alert_rule_test": [
                    {"eval_time": f"{at}h", "alertname": "SepNavDivergence", "exp_alerts": alerts}
                    for at, alerts in moments.items()
                ],
            }
        )
    return tests


def as_input(series: dict[str, str]) -> list[dict[str, str]]:
    """The series in the format of promtool."""
    return [{"series": name, "values": values} for name, values in sorted(series.items())]


def documents() -> dict[str, dict[str, Any]]:
    """The files by name: scenarios of minutes, and scenarios of days."""
    all_scenarios = scenarios()
    alerts = sorted({s.alert for s in all_scenarios} - {WATCHDOG} | {"SepNavDivergence"})
    minutes = [healthy_test(alerts), few_sessions_test(), *map(scenario_test, all_scenarios)]
    return {
        "minutes.test.yaml": _document("1m", minutes),
        "days.test.yaml": _document("30m", [dead_stack_test(), *divergence_tests()]),
    }


def _document(interval: str, tests: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "rule_files": ["../sep-rolling.rules.yaml"],
        "evaluation_interval": interval,
        "tests": tests,
    }
