"""``make run`` through its public port.

The tests are in the order of a user's first ten minutes; the last one stops the stack.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sep_testing.eventually import eventually
from sep_testing.processes import usage_by_part

from tests.e2e.conftest import Stack
from tests.programs import needs

pytestmark = pytest.mark.timeout(600)

PAIRS = sorted(
    ["EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF"]
)  # the default HOTBAND_PAIRS


def reason(response: httpx.Response) -> str:
    """The stable reason of an error."""
    return str(response.json()["details"][0]["reason"])


async def test_health_names_every_part(stack: Stack) -> None:
    # A part that is still compiling may not respond for a moment.
    def healthy() -> dict[str, Any]:
        body: dict[str, Any] = stack.get("/health").json()
        return body if body.get("healthy") else {}

    body = await eventually(healthy, within_s=30)
    assert {p["name"] for p in body["parts"]} == {
        "gateway",
        "evaluator",
        "allocator",
        "journal",
        "guard",
        "valkey",
    }


@pytest.mark.timeout(900)
async def test_metrics_gates_and_weights_within_two_minutes_and_a_filled_order(
    cold_stack: Stack,
) -> None:
    def coherent() -> bool:
        statuses = cold_stack.read("/api/coherence/status")["statuses"]
        return sorted(s["instrument"] for s in statuses) == PAIRS and all(
            s.get("metrics") and s["fresh"] for s in statuses
        )

    def eligible() -> list[Any]:
        ranking = cold_stack.read("/api/ranking/active")["ranking"]
        return [r for r in ranking if r["eligible"]]

    def weighted() -> dict[str, float]:
        status = cold_stack.read("/api/risk/allocation-status")
        assert status["total_allocation"] <= 0.30
        return {} if status["held"] else dict(status["weights"])

    def filled() -> int:
        # The ledger begins with the account and its cash; the rest are orders and fills.
        account = cold_stack.read("/api/oanda/account")
        return int(account["last_transaction_id"]) > 2

    for probe in (coherent, eligible, weighted):
        await eventually(probe, within_s=120, every_s=0.5)
    # Usually within seconds; where no signal passes the limits for entries, it takes minutes.
    await eventually(filled, within_s=600, every_s=0.5)
    thresholds = {
        c["name"]: c["threshold"]
        for s in cold_stack.read("/api/coherence/status")["statuses"]
        for c in s["checks"]
    }
    assert thresholds == {"coherence": 0.55, "rupture": 0.60, "entropy": 0.75, "stability": 0.40}


ROUTES = {
    "/api/status": {"version", "modes", "broker", "freshness", "leases"},
    "/api/settings": {"settings"},
    "/api/pairs": {"pairs"},
    "/api/ranking/active": {"ranking"},
    "/api/risk/allocation-status": {"weights", "total_allocation", "top_k", "held"},
    "/api/risk/budget": {"balance", "margin_available", "margin_used", "budget", "utilisation"},
    "/api/kill-switch": {"kill_switch"},
    "/api/manifold/coeffs?instrument=EUR_USD": {"sigma_eff", "lambda", "metrics"},
    "/api/coherence/status?instrument=EUR_USD": {"statuses"},
    "/api/candles?instrument=EUR_USD&limit=120": {"instrument", "granularity", "candles"},
    "/api/oanda/account": {"balance", "nav", "margin_used", "margin_available"},
    "/api/oanda/positions": {"positions"},
    "/api/oanda/open-trades": {"trades"},
    "/api/oanda/instruments": {"instruments"},
    "/api/oanda/pricing": {"prices", "home_conversions"},
    "/api/trade/readiness": {"readiness"},
}


@pytest.mark.parametrize("route", ROUTES)
async def test_every_route_returns_its_documented_fields(stack: Stack, route: str) -> None:
    stack.read(route)
    response = stack.get(route)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    assert ROUTES[route] <= response.json().keys()


async def test_candles_are_exact_decimals_in_time_order(stack: Stack) -> None:
    candles = stack.read("/api/candles?instrument=USD_JPY&limit=120")["candles"]
    assert len(candles) == 120
    times = [c["ts_ms"] for c in candles]
    assert times == sorted(set(times))
    for c in candles:
        assert Decimal(c["bid"]["l"]) <= Decimal(c["bid"]["c"]) <= Decimal(c["bid"]["h"])
        assert Decimal(c["bid"]["c"]) < Decimal(c["ask"]["c"])


async def test_the_budget_follows_from_the_account(stack: Stack) -> None:
    budget = stack.read("/api/risk/budget")
    base = min(Decimal(budget["balance"]), Decimal(budget["margin_available"]))
    assert Decimal(budget["budget"]) == base * Decimal("0.30")
    assert Decimal(budget["margin_used"]) <= Decimal("0.30") * Decimal(budget["balance"])


async def test_candles_are_fetched_on_request(stack: Stack) -> None:
    body = {"instruments": ["EUR_GBP"], "granularity": "M1", "count": 50}
    (stored,) = stack.done("/api/candles/fetch", body)["stored"]
    assert (stored["instrument"], stored["fetched"]) == ("EUR_GBP", 50)
    read = stack.read("/api/candles?instrument=EUR_GBP&granularity=M1&limit=50")
    assert len(read["candles"]) == 50


async def test_a_dry_run_decides_and_orders_nothing(stack: Stack) -> None:
    stack.done("/api/kill-switch", {"kill_switch": True, "reason": "test"})
    response = stack.done("/api/trade/reconcile", {"dry_run": True})
    assert response["dry_run"] is True
    assert sorted(a["instrument"] for a in response["actions"]) == PAIRS
    assert all(a["client_order_id"] == "" for a in response["actions"])
    stack.post("/api/kill-switch", {"kill_switch": False, "reason": "test is over"})


async def test_live_manifolds_stream_as_server_sent_events(stack: Stack) -> None:
    with httpx.stream("GET", f"{stack.url}/api/manifold/stream", timeout=60) as response:
        assert response.headers["content-type"] == "text/event-stream"
        seen = set()
        for line in response.iter_lines():
            if line.startswith("data: "):
                seen.add(json.loads(line.removeprefix("data: "))["manifold"]["instrument"])
            if len(seen) == len(PAIRS):
                break
    assert sorted(seen) == PAIRS


@needs("promtool", "FORM OF THE METRICS NOT CHECKED")
async def test_promtool_accepts_the_metrics(stack: Stack) -> None:
    stack.read("/health")
    text = stack.get("/metrics").text
    check = await asyncio.to_thread(
        subprocess.run,
        ["promtool", "check", "metrics"],
        input=text, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")


async def test_metrics_are_the_union_of_all_services(stack: Stack) -> None:
    stack.read("/health")
    response = stack.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    samples = [x for x in response.text.splitlines() if not x.startswith("#")]
    series = [x.rpartition(" ")[0] for x in samples]
    assert len(series) == len(set(series))
    for name in (
        "sep_nav",
        "sep_span_integrity_ok",
        "sep_kill_switch",
        "sep_gates_blob_age_seconds",
    ):
        assert any(s.startswith(name) for s in series), name
    gates = [s for s in series if s.startswith("sep_rolling_gate{")]
    assert sorted(pair for pair in PAIRS for g in gates if f'instrument="{pair}"' in g) == PAIRS


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/api/manifold/coeffs?instrument=XXX_YYY", 404, "UNKNOWN_INSTRUMENT"),
        ("/api/coherence/status?instrument=XXX_YYY", 404, "UNKNOWN_INSTRUMENT"),
        ("/api/candles?instrument=XXX_YYY", 404, "UNKNOWN_INSTRUMENT"),
        ("/api/oanda/pricing?instruments=XXX_YYY", 404, "UNKNOWN_INSTRUMENT"),
        ("/api/manifold/coeffs?instrument=eurusd", 400, "INVALID_ARGUMENT"),
        ("/api/manifold/coeffs", 400, "INVALID_ARGUMENT"),
        ("/api/candles?instrument=EUR_USD&granularity=M7", 400, "INVALID_ARGUMENT"),
        ("/api/candles?instrument=EUR_USD&limit=5001", 400, "INVALID_ARGUMENT"),
        ("/api/candles?instrument=EUR_USD&from=yesterday", 400, "INVALID_ARGUMENT"),
        ("/api/candles?instrument=EUR_USD&pages=2", 400, "BAD_REQUEST"),
        ("/api/nothing", 404, "UNKNOWN_ROUTE"),
    ],
)
async def test_an_invalid_call_gets_a_json_error_with_a_stable_reason(
    stack: Stack, path: str, status: int, expected: str
) -> None:
    response = stack.get(path)
    assert (response.status_code, reason(response)) == (status, expected)
    assert response.json()["message"]


async def test_the_kill_switch_refuses_entries(stack: Stack) -> None:
    stack.done("/api/kill-switch", {"kill_switch": True, "reason": "test", "actor": "e2e"})
    state = stack.read("/api/kill-switch")
    # The actor is the name of the key, whatever the caller sends.
    assert (state["kill_switch"], state["reason"], state["actor"]) == (True, "test", "write")
    assert stack.read("/api/status")["modes"]["kill_switch"] is True
    for readiness in stack.read("/api/trade/readiness")["readiness"]:
        assert "KILL_SWITCH" in readiness["reasons"]
    for action in stack.done("/api/trade/reconcile", {})["actions"]:
        assert action["kind"] != "ACTION_KIND_ENTRY"
    refused = stack.post("/api/kill-switch", {"kill_switch": False})
    assert (refused.status_code, reason(refused)) == (400, "INVALID_ARGUMENT")
    assert stack.read("/api/kill-switch")["kill_switch"] is True


async def test_native_grpc_and_reflection_share_the_port(stack: Stack) -> None:
    stack.done("/api/kill-switch", {"kill_switch": True, "reason": "test"})
    buf = Path(sys.executable).with_name("buf")
    url = f"{stack.url}/sep.guard.v1.GuardService/GetKillSwitch"
    done = await asyncio.create_subprocess_exec(
        *(buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(done.communicate(), 30)
    assert done.returncode == 0, err
    assert json.loads(out)["killSwitch"] is True


def test_the_stack_fits_a_machine_with_a_gigabyte(stack: Stack) -> None:
    """Its proportional set size; `make bench ARGS=footprint` measures practice settings."""
    found = usage_by_part(stack.supervisor)
    services = {"gateway", "evaluator", "allocator", "guard", "journal"}
    assert found.keys() == services | {"supervisor", "valkey", "envoy", "paper broker"}
    assert all(usage.memory > 2e6 for usage in found.values()), found
    # The paper broker stands in for the broker's own machines.
    taken = {part: usage.memory / 1e6 for part, usage in found.items() if part != "paper broker"}
    # 628 measured where no other stack shares the pages of libraries, 500 beside one; a machine
    # without compiled kernels takes 50 more.
    assert sum(taken.values()) < 750, taken


@pytest.mark.parametrize("part", ["evaluator", "guard", "gateway"])
async def test_a_killed_part_restarts_with_its_state(stack: Stack, part: str) -> None:
    stack.done("/api/kill-switch", {"kill_switch": True, "reason": "test"})
    killed = stack.parts()[part]
    os.kill(killed, signal.SIGKILL)

    def seen() -> bool:
        # Where the machine stalls, it may run again before anyone has asked for the health.
        down = stack.get("/health").status_code == 503
        return down or stack.parts().get(part, killed) != killed

    await eventually(seen)
    await eventually(lambda: stack.get("/health").status_code == 200, within_s=90)
    # Envoy has its own health checks, and may notice the recovery a moment later.
    await eventually(lambda: stack.get("/api/kill-switch").status_code == 200)
    assert stack.read("/api/kill-switch")["kill_switch"] is True


@pytest.mark.parametrize("fault", [signal.SIGSTOP, signal.SIGKILL])
async def test_trading_goes_on_without_the_journal_which_catches_up(
    stack: Stack, fault: signal.Signals
) -> None:
    """Frozen it accepts connections and answers nothing, which is what costs callers time."""

    def reconciled() -> bool:
        return stack.post("/api/trade/reconcile", {"dry_run": False}).status_code == 200

    def caught_up() -> bool:
        newest = stack.get("/api/journal/transactions?page_size=1")
        account = stack.get("/api/oanda/account")
        if {newest.status_code, account.status_code} != {200}:
            return False
        ids = [entry["id"] for entry in newest.json()["transactions"]]
        return ids == [account.json()["last_transaction_id"]]

    await eventually(caught_up, within_s=60)
    journal = stack.parts()["journal"]
    os.kill(journal, fault)
    try:
        for _ in range(3):
            assert await eventually(reconciled, within_s=30)
        # Soon, and not only when the journal is back.
        stack.read("/health", within_s=20)
        stack.read("/api/trade/readiness", within_s=20)
    finally:
        if fault is signal.SIGSTOP:
            os.kill(journal, signal.SIGCONT)
    await eventually(caught_up, within_s=60)
    # Trades go on meanwhile, so that a sum may be of two moments: the next one is of one.
    await eventually(lambda: adds_up(stack), within_s=60)


def adds_up(stack: Stack) -> bool:
    """Whether trades and transfers of the journal are the broker's balance, to the last digit."""
    trades = every(stack, "/api/journal/trades", "trades")
    ledger = every(stack, "/api/journal/transactions", "transactions")
    moved = [Decimal(t["net_pl"]) for t in trades] + [Decimal(t["transfer"]) for t in ledger]
    return sum(moved) == Decimal(stack.read("/api/oanda/account")["balance"])


def every(stack: Stack, path: str, name: str) -> list[dict[str, Any]]:
    """All entries of a list, page by page."""
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        page = stack.read(f"{path}?page_size=100&page_token={token}")
        found += page[name]
        token = page["next_page_token"]
        if not token:
            return found


async def test_ctrl_c_stops_every_process_within_ten_seconds(stack: Stack) -> None:
    assert stack.parts().keys() >= {
        "gateway",
        "evaluator",
        "allocator",
        "guard",
        "journal",
        "paper_broker",
    }
    responses: list[int] = []
    dropped: list[str] = []
    callers = [
        asyncio.create_task(asyncio.to_thread(call_until_refused, stack, responses, dropped))
        for _ in "123"
    ]
    await eventually(lambda: len(responses) >= 3, within_s=30)
    code, seconds = await asyncio.to_thread(stack.interrupt)
    assert code == 0, stack.tail()
    assert stack.processes() == []
    await asyncio.gather(*callers)
    assert dropped == []
    if seconds >= 10:  # perhaps the machine has stalled
        await asyncio.to_thread(stack.start)
        await asyncio.to_thread(stack.wait_until_warm)
        _, seconds = await asyncio.to_thread(stack.interrupt)
    assert seconds < 10


def call_until_refused(stack: Stack, responses: list[int], dropped: list[str]) -> None:
    """Make calls that involve two services until the port is closed.

    A connection that was not accepted yet when the port closes is reset. Any other failure means
    that an accepted call was dropped.

    Args:
        responses: gets the status of each response.
        dropped: gets the error of each dropped call.
    """
    headers = stack.key(stack.writer)
    url = f"{stack.url}/api/trade/reconcile"
    while True:
        try:
            response = httpx.post(url, json={"dry_run": True}, headers=headers, timeout=30)
        except (httpx.ConnectError, httpx.ReadError) as error:
            if not isinstance(error, httpx.ConnectError) and "reset by peer" not in str(error):
                dropped.append(repr(error))
            return
        except httpx.TransportError as error:
            dropped.append(repr(error))
        else:
            responses.append(response.status_code)
