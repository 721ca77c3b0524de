"""A day at the desk: an account after a month of trading, on a Tuesday at 14:00 UTC."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.console.canned import Answer, Json

NOW_MS = 1_773_151_200_000
"""2026-03-10 14:00 UTC; New York has daylight saving since the 8th."""
DAY_MS = 86_400_000
PAIRS = ("AUD_USD", "EUR_JPY", "EUR_USD", "GBP_USD", "NZD_USD", "USD_CAD", "USD_CHF", "USD_JPY")
YESTERDAY_END = NOW_MS - 17 * 3_600_000
PARTS = ("evaluator", "allocator", "guard", "gateway", "journal", "valkey")
SERVING = "PART_STATE_SERVING"
_PL = (120, -80, 45, 0, 0, 210, -160, 95, 30, -25, 0, 0, 140, 60, -40, 180, -220, 0, 0, 75, 310)
_COSTS = ("half_spread", "delay", "slippage", "financing", "conversion", "commission", "other")
REASONS = (["COHERENCE_LOW", "SPREAD_WIDE"], ["RUPTURE_HIGH"], ["NO_WEIGHT"])


def answers() -> dict[str, Answer]:
    """Every route that the console reads."""
    return {
        "GET /api/status": _status(),
        "GET /api/kill-switch": {**SWITCHED[-1], "ts_ms": NOW_MS - 3_600_000},
        "GET /api/settings": _settings(),
        "GET /api/pairs": {"pairs": [{**_pair(n), "instrument": n} for n in PAIRS]},
        "GET /api/ranking/active": {"ranking": [_ranked(i, n) for i, n in enumerate(PAIRS)]},
        "GET /api/coherence/status": _coherence,
        "GET /api/candles": _candles,
        "GET /api/manifold/coeffs": _windows,
        "GET /api/oanda/account": _account(),
        "GET /api/oanda/positions": {"positions": [_position("EUR_USD"), _position("GBP_USD")]},
        "GET /api/oanda/open-trades": {"trades": [_open("EUR_USD", 41), _open("GBP_USD", 40)]},
        "GET /api/oanda/instruments": {"instruments": [_instrument(n) for n in PAIRS]},
        "GET /api/oanda/pricing": {"prices": [_price(n) for n in PAIRS]},
        "GET /api/risk/allocation-status": {
            "weights": {"EUR_USD": 0.1}, "total_allocation": 0.1, "top_k": 3,
        },
        "GET /api/risk/budget": _budget(),
        "GET /api/risk/limits": {"limits": _limits()},
        "GET /api/risk/locks": {"locks": []},
        "GET /api/trade/readiness": {"readiness": [_ready(i, n) for i, n in enumerate(PAIRS)]},
        "GET /metrics": {"text": METRICS},
        "GET /api/parameters": {"parameters": [_parameters(n) for n in PAIRS]},
        "GET /api/parameters/history": {"changes": [CHANGE]},
        "GET /api/journal/performance": _performance,
        "GET /api/journal/costs": _costs,
        "GET /api/journal/divergence": divergence(),
        "GET /api/journal/trades": _trades,
        "GET /api/decisions": _decisions,
        "GET /api/decisions/{id}": _decision,
        "POST /api/flatten": _flatten,
    }  # fmt: skip


SWITCHED = (
    {"kill_switch": True, "reason": "payrolls", "actor": "ann"},
    {"kill_switch": False, "reason": "payrolls are out", "actor": "ann"},
)
"""Changes of the kill switch, an hour apart, oldest first."""
RISK_EVENTS = {
    "LOCKED": (30, "USD_TRY", "spread at the weekend", "ben"),
    "UNLOCKED": (26, "USD_TRY", "the week has begun", "ben"),
    "BREAKER_TRIPPED": (50, "", "daily loss of 2.1 percent of NAV", "breaker"),
    "BREAKER_ACKNOWLEDGED": (48, "", "looked at every trade", "ann"),
}
"""Kinds of risk events: hours ago, instrument, reason and who."""


def events() -> list[Json]:
    """The last manifold of each instrument."""
    metrics = {"coherence": 0.62, "stability": 0.55, "entropy": 0.41, "rupture": 0.2}
    return [
        {"manifold": {
            "instrument": name, "ts_ms": NOW_MS, "price": "1.08045", "metrics": metrics,
            "coeffs": {"sigma_eff": 0.00012, "lambda": 0.05},
        }}
        for name in PAIRS
    ]  # fmt: skip


def happened() -> list[Json]:
    """Events before the tab was opened: the gate of EUR_USD opens and closes again, and the kill
    switch is engaged and released."""
    switched = [
        {"ts_ms": NOW_MS - (2 - n) * 3_600_000, "kind": "kill_switch", "data": json.dumps(change)}
        for n, change in enumerate(SWITCHED)
    ]
    return switched + [
        {
            "ts_ms": NOW_MS - minutes * 60_000, "kind": "flip", "instrument": name,
            "data": json.dumps({"gate": gate}),
        }
        for minutes, name, gate in ((90, "EUR_USD", 1), (50, "EUR_JPY", 0), (30, "EUR_USD", 0))
    ]  # fmt: skip


def divergence() -> Json:
    """Days of live against their replay."""
    causes = [("price", 3, "-1.2040"), ("timing", 1, "0.3100"), ("unexplained", 0, "0.0000")]
    return {"days": [
        {
            "date": f"2026-03-0{day}", "live_net": "75.0000", "replay_net": "75.8940",
            "causes": [{"cause": c, "differences": n, "cash": cash} for c, n, cash in causes],
        }
        for day in (6, 9)
    ]}  # fmt: skip


def files() -> dict[str, tuple[str, bytes]]:
    """Files that the API hands out, by path: name and content."""
    return {"/api/journal/export": ("trades-2026.csv", b"id,net_pl\n")}


def closed_market() -> dict[str, Answer]:
    """The same on a weekend: nothing is open, and what is live is old."""
    found = answers()
    opens = NOW_MS + DAY_MS
    pairs = [
        {"instrument": n, "open": False, "session": {"open": False, "opens_at_ms": opens}}
        for n in PAIRS
    ]
    found["GET /api/pairs"] = {"pairs": pairs}
    ready = [
        {"instrument": n, "reasons": ["SESSION_CLOSED"],
         "checks": [{"reason": "SESSION_CLOSED", "observed": "closed", "allowed": "open"}]}
        for n in PAIRS
    ]  # fmt: skip
    found["GET /api/trade/readiness"] = {"readiness": ready}
    return found


def nothing_yet() -> dict[str, Answer]:
    """A stack that has just been started: nothing is held, traded or decided."""
    found = answers()
    found["GET /api/oanda/positions"] = {"positions": []}
    found["GET /api/oanda/open-trades"] = {"trades": []}
    found["GET /api/candles"] = {"granularity": "M1", "candles": []}
    found["GET /api/parameters/history"] = {"changes": []}
    found["GET /api/journal/performance"] = {"days": []}
    found["GET /api/journal/costs"] = {"costs": []}
    found["GET /api/journal/divergence"] = {"days": []}
    found["GET /api/journal/trades"] = {"trades": []}
    found["GET /api/decisions"] = {"decisions": []}
    return found


def _status() -> Json:
    return {
        "version": "0.1.0",
        "ts_ms": NOW_MS,
        "modes": {"environment": "practice"},
        "broker": {"connected": True, "last_contact_ms": NOW_MS - 800, "clock_skew_seconds": 0.04},
        "freshness": [
            {"name": name, "age_seconds": age, "max_age_seconds": most, "verdict": "fresh"}
            for name, age, most in (
                ("gates_blob", 12, 180), ("allocation_weights", 31, 180),
                ("signal:EUR_USD", 48, 300), ("live:EUR_USD", 1, 30),
            )
        ],
        "leases": [
            {"name": name, "holder": f"{name}-1", "fencing_token": token, "expires_in_seconds": 9}
            for name, token in (("evaluator", 4), ("allocator", 3), ("guard", 7))
        ],
        "parts": [{"name": name, "state": SERVING} for name in PARTS],
    }  # fmt: skip


def _pair(name: str) -> Json:
    session = {"open": True, "active": ["London", "New York"], "closes_at_ms": NOW_MS + 25_000_000}
    return {"instrument": name, "open": True, "session": session}


def _ranked(index: int, name: str) -> Json:
    gate = index % 3 != 1
    return {
        "instrument": name, "score": 0.6 - index / 50, "selected": gate and index < 4,
        "eligible": gate, "weight": 0.1 if name == "EUR_USD" else 0,
        "gate_reasons": [] if gate else ["CALMAR_LOW"], "slope_bps": 0.4,
        "session": {"open": True, "active": ["London", "New York"]},
    }  # fmt: skip


def _coherence(query: Mapping[str, str]) -> Json:
    checks = [
        {"name": "coherence", "value": 0.61, "threshold": 0.55, "comparison": ">=", "passed": True},
        {"name": "rupture", "value": 0.66, "threshold": 0.6, "comparison": "<=", "passed": False},
    ]
    status = {
        "instrument": query.get("instrument", "EUR_USD"), "checks": checks, "fresh": True,
        "signal_age_seconds": 20, "manifold_age_seconds": 2,
    }  # fmt: skip
    return {"statuses": [status]}


def _candles(query: Mapping[str, str]) -> Json:
    found, last = [], 107_960
    for index in range(240):
        close = 108_000 + round(50 * math.sin(index / 30)) + (index * 7919) % 23 - 11
        prices = {"o": last, "h": max(last, close) + 4, "l": min(last, close) - 3, "c": close}
        last = close
        bid = {part: f"{Decimal(price) / 100_000:.5f}" for part, price in prices.items()}
        ask = {part: f"{Decimal(price + 10) / 100_000:.5f}" for part, price in prices.items()}
        time = NOW_MS - (240 - index) * 300_000
        found.append({"ts_ms": time, "volume": 5, "bid": bid, "ask": ask})
    return {"instrument": query["instrument"], "granularity": "M5", "candles": found}


def _windows(query: Mapping[str, str]) -> Json:
    """Metrics of the same bars as the candles, in slow waves."""
    found = []
    for index in range(240):
        wave = math.sin(index / 25) / 5
        metrics = {
            "coherence": 0.6 + wave / 2, "stability": 0.55 + wave / 3, "entropy": 0.45 - wave,
            "rupture": 0.25 - wave / 2,
        }  # fmt: skip
        found.append({"ts_ms": NOW_MS - (240 - index) * 300_000, "metrics": metrics})
    return {
        "instrument": query["instrument"], "ts_ms": NOW_MS - 300_000, "sigma_eff": 0.00012,
        "lambda": 0.05, "price": "1.08045", "history": found,
    }  # fmt: skip


CHANGE = {
    "id": "c-7", "ts_ms": NOW_MS - 3 * DAY_MS, "actor": "ann", "run": "2026-03-07-m5",
    "reason": "passed out of sample and against 99 null runs",
    "changed": [{"instrument": "EUR_USD"}],
}  # fmt: skip


def _metrics() -> str:
    loops = {
        "allocator": ("allocation", "lease"),
        "evaluator": ("candles", "evaluation", "lease", "manifolds"),
        "gateway": ("broker_link", "candles", "kill_switch"),
        "guard": ("kill_switch", "lease", "reconcile"),
        "journal": ("journal_decisions", "journal_event_feed", "journal_ledger"),
    }
    lines = []
    for service, names in loops.items():
        for age, name in enumerate(names):
            labels = f'{{loop="{name}",service="{service}"}}'
            lines += [
                f"sep_loop_last_success_timestamp_seconds{labels} {NOW_MS / 1000 - age}",
                f"sep_loop_lag_seconds{labels} {0.0012 * (age + 1)}",
                f"sep_loop_failures_total{labels} {float(name == 'broker_link')}",
                f"sep_loop_duration_seconds_count{labels} 500.0",
                f"sep_loop_duration_seconds_sum{labels} {4.0 + age}",
            ]
    return "\n".join(lines)


METRICS = _metrics()


def _parameters(name: str) -> Json:
    values = {"c_min": 0.55, "max_rupture": 0.6, "max_entropy": 0.75, "min_stability": 0.4}
    promoted = {"change": CHANGE} if name == "EUR_USD" else {}
    return {"instrument": name, "values": values, "digest": "0" * 16, **promoted}


def _settings() -> Json:
    return {
        "settings": [
            {"name": "ALLOC_TOP_K", "value": "3", "default": "3", "services": ["allocator"],
             "description": "How many instruments have a weight."},
            {"name": "KILL_SWITCH", "value": "0", "default": "1", "services": ["guard"],
             "changed": True, "description": "The initial state of the kill switch."},
            {"name": "OANDA_API_TOKEN", "secret": True, "changed": True, "services": ["gateway"],
             "description": "The broker's token."},
            {"name": "RISK_MAX_DRAWDOWN_PCT", "value": "6", "default": "6", "services": ["guard"],
             "description": "Loss since the highest NAV, in percent, at which the breaker trips."},
        ],
        "missing": [{"service": "journal", "reason": "PEER_UNAVAILABLE"}],
    }  # fmt: skip


def _account() -> Json:
    return {
        "id": "101-001-0000001-001", "currency": "USD", "balance": "100740.0000",
        "nav": "100772.5500", "unrealized_pl": "32.5500", "pl": "740.0000",
        "margin_used": "4410.1200", "margin_available": "96362.4300",
        "margin_closeout_percent": "0.02188", "ts_ms": NOW_MS,
    }  # fmt: skip


def _position(name: str) -> Json:
    return {
        "instrument": name, "long_units": "40000", "short_units": "0",
        "long_average_price": "1.08010", "unrealized_pl": "16.2750", "margin_used": "2205.0600",
    }  # fmt: skip


def _open(name: str, number: int) -> Json:
    return {
        "id": str(number), "instrument": name, "price": "1.08010", "current_units": "40000",
        "initial_units": "40000", "unrealized_pl": "16.2750", "client_id": f"sep-{number}",
        "open_time": "2026-03-10T12:30:05.446080611Z", "stop_loss_price": "1.07600",
        "take_profit_price": "1.08700", "stop_loss_state": "PENDING",
        "take_profit_state": "PENDING", "financing": "0.0000", "margin_used": "2205.0600",
    }  # fmt: skip


def _instrument(name: str) -> Json:
    return {"name": name, "display_precision": 5, "margin_rate": "0.05"}


def _price(name: str) -> Json:
    return {
        "instrument": name, "ts_ms": NOW_MS, "bid": "1.08040", "ask": "1.08050", "tradeable": True,
    }  # fmt: skip


def _budget() -> Json:
    return {
        "balance": "100740.0000", "margin_available": "96362.4300", "margin_used": "4410.1200",
        "target_pct": 0.3, "budget": "28908.7290", "per_instrument_cap": "9636.2430",
        "utilisation": 0.0438, "margin_gate_open": True, "ts_ms": NOW_MS, "nav": "100772.5500",
    }  # fmt: skip


_LIMITS = (
    ("daily_loss", 0.0, 2, "percent of NAV", ""),
    ("drawdown", 0.2, 6, "percent of NAV", ""),
    ("turnover", 8.1, 60, "NAVs", ""),
    ("order_rate", 2, 12, "entries an hour", "EUR_USD"),
    ("rejects", 0, 3, "in a row", ""),
    ("stop_outs", 1, 3, "today", "GBP_USD"),
    ("loss_at_stop", 0.32, 0.5, "percent of NAV", "EUR_USD"),
    ("leverage", 0.86, 20, "NAVs", ""),
    ("currency", 0.86, 10, "NAVs", "USD"),
    ("reference_price", 4.2, 30, "bps", "NZD_USD"),
)


def _limits() -> list[Json]:
    return [
        {"limit": name, "observed": observed, "allowed": allowed, "unit": unit, "state": "ok",
         "headroom": 1 - observed / allowed, "subject": subject}
        for name, observed, allowed, unit, subject in _LIMITS
    ]  # fmt: skip


_CHECKS = (
    ("KILL_SWITCH", "released", "released"),
    ("NO_WEIGHT", "0.1", "> 0"),
    ("RUPTURE_HIGH", "0.2", "<= 0.6"),
    ("SIGNAL_STALE", "20 s", "<= 300 s"),
    ("SESSION_CLOSED", "open", "open"),
    ("SPREAD_WIDE", "0.9 bps", "<= 3.0 bps"),
    ("MARGIN_GATE", "open", "open"),
    ("RISK_LEVERAGE", "0.86", "<= 20"),
    ("BROKER_LINK", "up", "up"),
    ("SECOND_WRITER", "none", "none"),
    ("STOP_MISSING", "none", "none"),
    ("LIVE_TRADING_DISABLED", "allowed", "allowed"),
)


def _ready(index: int, name: str) -> Json:
    failed = index % 3 == 1
    coherence = ("0.49" if failed else "0.61", ">= 0.55")
    checks = [
        {"reason": reason, "passed": True, "observed": observed, "allowed": allowed}
        for reason, observed, allowed in _CHECKS
    ]
    checks.append(
        {"reason": "COHERENCE_LOW", "passed": not failed, "observed": coherence[0],
         "allowed": coherence[1]}
    )  # fmt: skip
    return {
        "instrument": name, "ready": not failed, "checks": checks, "direction": 1,
        "reasons": ["COHERENCE_LOW"] if failed else [],
        "parameters_digest": "5f0c9a6be21d4478", "parameters_run": "",
    }  # fmt: skip


def _performance(query: Mapping[str, str]) -> Json:
    """Whole days that ended at 17:00 in New York, and the running one."""
    ends = [YESTERDAY_END - (len(_PL) - 2 - i) * DAY_MS for i in range(len(_PL) - 1)] + [NOW_MS]
    nav, peak = Decimal(100_000), Decimal(100_000)
    days: list[Json] = []
    for end, pl in zip(ends, _PL, strict=True):
        before, nav = nav, nav + pl
        peak = max(peak, nav)
        day: Json = {
            "date": "2026-03-09", "end_ms": end, "nav": f"{nav}.0000", "pl": f"{pl}.0000",
            "transfers": "0", "return": float(pl / before), "drawdown": float(nav / peak - 1),
        }  # fmt: skip
        days.append(day)
    since = int(query.get("from", 0))
    inside = [d for d in days if d["end_ms"] > since]
    return {
        "nav": str(nav), "net_pl": f"{sum(_PL)}.0000", "transfers": "0", "days": inside,
        "time_weighted_return": 0.0074, "annual_return": 0.093, "max_drawdown": -0.0022,
        "sharpe": 2.1, "sortino": 3.4, "win_rate": 0.58, "profit_factor": 1.7, "exposure": 0.8,
        "time_in_market": 0.63, "trades": 38,
    }  # fmt: skip


def _parts(net: Decimal) -> Json:
    costs = dict(
        zip(_COSTS, ("-3.2000", "0.4100", "-0.8000", "-0.1200", "0", "0", "0"), strict=True)
    )
    return {**costs, "signal": str(net - sum(map(Decimal, costs.values())))}


def _costs(query: Mapping[str, str]) -> Json:
    groups = {
        "hour": ("07", "08", "13", "14"), "weekday": ("Monday", "Tuesday", "Friday"),
        "session": ("London", "London+New York", "New York"),
    }.get(query.get("group_by", ""), ("EUR_USD", "GBP_USD", "USD_JPY"))  # fmt: skip
    return {
        "costs": [
            {"group": g, "trades": 3 + i, "net_pl": f"{40 - 30 * i}.5000",
             "parts": _parts(Decimal(f"{40 - 30 * i}.5000"))}
            for i, g in enumerate(groups)
        ]
    }  # fmt: skip


def _trades(query: Mapping[str, str]) -> Json:
    """Forty trades, newest first, by pages."""
    wanted = [
        t for t in (_trade(n) for n in range(41, 0, -1))
        if query.get("instrument") in (None, t["instrument"])
        and not (query.get("open") and "close_time" in t)
    ]  # fmt: skip
    start, size = int(query.get("page_token", "0").split("-")[0]), int(query["page_size"])
    page = {"trades": wanted[start : start + size]}
    return page | ({"next_page_token": f"{start + size}-0"} if len(wanted) > start + size else {})


def _trade(number: int) -> dict[str, Any]:
    name = ("GBP_USD", "EUR_USD")[number % 2]
    opened = NOW_MS - (42 - number) * 5_400_000
    net = Decimal((number * 53) % 90 - 40)
    trade: dict[str, Any] = {
        "id": str(number), "instrument": name, "units": "40000", "open_units": "0",
        "open_time": opened, "open_price": "1.08010", "net_pl": f"{net}.0000", "parts": _parts(net),
        "decision_ids": [f"d{number}", f"x{number}"], "own": True,
    }  # fmt: skip
    if number in (40, 41):
        return {**trade, "open_units": "40000", "decision_ids": [f"d{number}"]}
    return {**trade, "close_time": opened + 3_000_000, "close_price": "1.08110",
            "exit": "TAKE_PROFIT_ORDER"}  # fmt: skip


def _decisions(query: Mapping[str, str]) -> Json:
    if query.get("kind") in RISK_EVENTS:
        return {"decisions": [_risk_event(query["kind"])]}
    found = []
    for index in range(120):
        refused = index % 4 != 0
        entry: Json = {
            "id": f"d{120 - index}", "ts_ms": NOW_MS - index * 90_000, "event": "decision",
            "kind": "REFUSAL" if refused else "ENTRY", "instrument": PAIRS[index % 8],
            "reasons": REASONS[index % 3] if refused else ["DIRECTION"],
            "count": 12 if refused else 1, "last_ts_ms": NOW_MS - index * 90_000 + 60_000,
        }  # fmt: skip
        fits = (
            all(query.get(name) in (None, entry[name]) for name in ("instrument", "kind"))
            and query.get("reason", entry["reasons"][0]) in entry["reasons"]
        )
        if fits:
            found.append(entry)
    start, size = int(query.get("page_token", "0").split("-")[0]), int(query["page_size"])
    page = {"decisions": found[start : start + size]}
    return page | ({"next_page_token": f"{start + size}-0"} if len(found) > start + size else {})


def _risk_event(kind: str) -> Json:
    ago, instrument, reason, _ = RISK_EVENTS[kind]
    return {
        "id": f"r-{kind}", "ts_ms": NOW_MS - ago * 3_600_000, "event": "risk", "kind": kind,
        "instrument": instrument, "reasons": [reason], "count": 1,
    }  # fmt: skip


def _decision(query: Mapping[str, str]) -> Json:
    if (kind := query["id"].removeprefix("r-")) in RISK_EVENTS:
        record = json.dumps({"event": "risk", "kind": kind, "actor": RISK_EVENTS[kind][-1]})
        return {"decisions": [_risk_event(kind)], "records": [record]}
    number = int(query["id"].lstrip("dx"))
    spread = f"{number / 10}"
    record = (
        f'{{"event": "decision", "id": "d{number}", "ts": {NOW_MS}, "instrument": "EUR_USD",'
        ' "kind": "ENTRY", "reasons": ["DIRECTION"], "action": {"current": "0", "target": "40000",'
        f' "checks": [{{"reason": "SPREAD_WIDE", "passed": true, "observed": "{spread} bps"}}]}},'
        ' "account": {"nav": "100700.0000"}, "market": {"quote": {"bid": "1.08040"}}}'
    )
    order = (
        '{"event": "order", "client_order_id": "c1", "units": "40000", "outcome": "FILLED",'
        ' "reason": "", "filled_units": "40000", "fill_price": "1.08010"}'
    )
    common = {"id": f"d{number}", "ts_ms": NOW_MS, "instrument": "EUR_USD", "count": 1}
    return {
        "decisions": [
            {**common, "event": "decision", "kind": "ENTRY", "reasons": ["DIRECTION"]},
            {**common, "event": "order", "kind": "ORDER"},
        ],
        "records": [record, order],
    }


def _flatten(body: Mapping[str, Any]) -> Json:
    close = {
        "instrument": body.get("instrument", "EUR_USD"), "current_units": "40000",
        "close_units": "40000", "margin_freed": "2205.0600", "reason": "FLATTEN",
    }  # fmt: skip
    if body.get("dry_run"):
        return {"remaining": [close], "ts_ms": NOW_MS}
    done = {**close, "order_state": "FILLED", "client_order_id": "c9"}
    return {"flatten_id": "0" * 32, "closes": [done], "complete": True, "ts_ms": NOW_MS}
