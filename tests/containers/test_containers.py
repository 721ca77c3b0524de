"""deploy.sh and the stack in real containers, in the order of an operator's first day.

Each test goes on where the one before stopped; the first one deploys.
"""

import json
import re
from pathlib import Path

import httpx
import pytest
from sep_testing.eventually import eventually

from tests.containers.conftest import CORE, Containers
from tests.operations.documents import Command, all_commands

pytestmark = pytest.mark.timeout(600)

PAIRS = sorted(
    ["EUR_USD", "USD_JPY", "GBP_USD", "EUR_JPY", "USD_CAD", "NZD_USD", "AUD_USD", "USD_CHF"]
)
NAMES = [f"sep-{name}" for name in CORE]


def test_a_deploy_ends_with_everything_verified(containers: Containers) -> None:
    code, output = containers.run(
        str(containers.project / "deploy.sh"), "--wait", "120", within_s=560
    )
    assert code == 0, output[-8000:]
    for check in ("health", "gates blob", "coherence", "ranking", "allocation", "kill switch"):
        assert re.search(rf"{check}\s+│ ok", output), output[-4000:]
    assert "8 of 8" in output
    assert containers.get("/api/kill-switch").json()["kill_switch"] is True


def test_containers_are_named_healthy_and_hardened(containers: Containers) -> None:
    for name in NAMES:
        told = containers.inspect(name)
        host, config, state = told["HostConfig"], told["Config"], told["State"]
        assert state["Health"]["Status"] == "healthy", name
        assert host["ReadonlyRootfs"] is True, name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert min(host["Memory"], host["PidsLimit"]) > 0, name
        assert config["User"].split(":")[0] not in {"", "0", "root"}, name


def test_only_gateway_and_paper_broker_can_read_the_token(containers: Containers) -> None:
    holders = set()
    for name in NAMES:
        told = containers.inspect(name)
        assert not [v for v in told["Config"]["Env"] if "demo-token" in v], name
        if any(m["Destination"] == "/run/secrets/oanda_api_token" for m in told["Mounts"]):
            holders.add(name)
    assert holders == {"sep-gateway", "sep-paper-broker"}


async def test_the_loop_runs_through_envoy_until_orders_are_filled(containers: Containers) -> None:
    released = containers.post("/api/kill-switch", {"kill_switch": False, "reason": "test"})
    assert released.status_code == 200, released.text

    def coherent() -> bool:
        statuses = containers.get("/api/coherence/status").json()["statuses"]
        return sorted(s["instrument"] for s in statuses) == PAIRS and all(
            s["fresh"] for s in statuses
        )

    def weighted() -> bool:
        status = containers.get("/api/risk/allocation-status").json()
        assert status["total_allocation"] <= 0.30 + 1e-9
        return bool(status["weights"])

    def filled() -> bool:
        account = containers.get("/api/oanda/account").json()
        return int(account["last_transaction_id"]) > 2

    for probe in (coherent, weighted, filled):
        await eventually(probe, within_s=120, every_s=0.5)
    stopped = containers.post("/api/kill-switch", {"kill_switch": True, "reason": "test"})
    assert stopped.json()["kill_switch"] is True


def test_writing_needs_the_key(containers: Containers) -> None:
    body = {"kill_switch": False, "reason": "anybody"}
    refused = httpx.post(f"{containers.url}/api/kill-switch", json=body, timeout=10)
    assert refused.status_code in {401, 403}
    assert containers.get("/api/kill-switch").json()["kill_switch"] is True


def test_the_guards_log_tells_why_a_pair_did_or_did_not_trade(containers: Containers) -> None:
    command = (
        "docker logs sep-guard 2>&1 | egrep -i 'StrategyEngine|GuardEvaluator|PortfolioManager'"
    )
    code, output = containers.run("bash", "-c", command)
    assert code == 0
    lines = output.splitlines()
    refusals = [x for x in lines if "GuardEvaluator" in x and "KILL_SWITCH" in x]
    assert refusals, output[-2000:]
    told = json.loads(refusals[-1])
    assert told["instrument"] in PAIRS
    assert "KILL_SWITCH" in told["reasons"]
    assert [x for x in lines if re.search("order|entry", x) and "StrategyEngine" in x] or [
        x for x in lines if "PortfolioManager" in x
    ], output[-2000:]


@pytest.mark.parametrize("name", NAMES)
async def test_a_killed_container_comes_back_with_what_it_knew(
    containers: Containers, name: str
) -> None:
    before = await eventually(lambda: _last_transaction(containers), within_s=30, every_s=0.5)
    pid = containers.pid(name)
    containers.engine.run(["kill", "-9", str(pid)])

    def replaced() -> bool:
        try:
            return containers.pid(name) != pid
        except LookupError:
            return False

    await eventually(replaced, within_s=30, every_s=0.2)
    await eventually(containers.healthy, within_s=60, every_s=0.5)
    after = await eventually(lambda: _last_transaction(containers), within_s=30, every_s=0.5)
    assert after >= before
    state = await eventually(lambda: _kill_switch(containers), within_s=10, every_s=0.5)
    assert (state["kill_switch"], state["reason"]) == (True, "test")


def test_drain_closes_what_is_over_the_cap_and_nothing_else(containers: Containers) -> None:
    script = str(containers.project / "bin" / "drain_overcap_only.sh")
    containers.trade("GBP_USD", 900_000)
    code, plan = containers.run(script, "--dry-run")
    assert code == 0, plan
    for word in ("GBP_USD", "OVER_INSTRUMENT_CAP", "nothing was sent"):
        assert word in plan, plan
    assert _units(containers, "GBP_USD") >= 400_000

    code, output = containers.run(script, "--buffer-pct", "1", "--min-units", "10")
    assert code == 0, output
    assert re.search(r"close GBP_USD \d+ of \d+: FILLED", output), output
    left = _units(containers, "GBP_USD")
    assert 0 < left < 900_000
    code, output = containers.run(script)
    assert (code, "nothing to close" in output) == (0, True), output
    assert _units(containers, "GBP_USD") == left


def test_drain_refuses_while_the_kill_switch_is_released(containers: Containers) -> None:
    containers.post("/api/kill-switch", {"kill_switch": False, "reason": "test"})
    try:
        script = str(containers.project / "bin" / "drain_overcap_only.sh")
        code, output = containers.run(script)
        assert (code, "REFUSED" in output) == (3, True), output
    finally:
        containers.post("/api/kill-switch", {"kill_switch": True, "reason": "test"})


def test_a_failed_deploy_brings_back_what_ran_before(
    containers: Containers, tmp_path: Path
) -> None:
    images = {name: containers.inspect(name)["Image"] for name in NAMES}
    broken = tmp_path / "broken.env"
    broken.write_text(
        (containers.project / "deploy" / "demo.env").read_text() + "GUARD_MIN_COHERENCE=0.1\n"
    )
    code, output = containers.run(
        str(containers.project / "deploy.sh"),
        *("--wait", "30", "--env-file", str(broken)),
        within_s=300,
    )
    assert code == 1, output[-4000:]
    assert "FAILED at: starting with entries forbidden" in output
    assert "GUARD_MIN_COHERENCE" in output
    assert "rolled back; the kill switch is engaged" in output, output[-4000:]
    assert {name: containers.inspect(name)["Image"] for name in NAMES} == images
    assert containers.healthy()
    assert containers.get("/api/kill-switch").json()["kill_switch"] is True


def test_deploying_again_changes_nothing(containers: Containers) -> None:
    started = {n: containers.inspect(n)["State"]["StartedAt"] for n in NAMES if n != "sep-guard"}
    code, output = containers.run(
        str(containers.project / "deploy.sh"), "--wait", "120", within_s=300
    )
    assert code == 0, output[-6000:]
    again = {n: containers.inspect(n)["State"]["StartedAt"] for n in started}
    assert again == started


@pytest.mark.parametrize("command", [c for c in all_commands() if c.kind == "docker"], ids=str)
def test_a_command_of_the_operations_pages_runs_as_written(
    containers: Containers, command: Command
) -> None:
    code, output = containers.run("bash", "-euo", "pipefail", "-c", command.text, within_s=30)
    assert code == 0, f"{command.text}\n{output}"


async def test_prometheus_reads_every_part_and_knows_its_rules(containers: Containers) -> None:
    if "prom/prometheus" not in containers.engine.docker("images", "--format", "{{.Repository}}"):
        pytest.skip("PROMETHEUS NOT TESTED: Debian's prometheus is not installed")
    containers.compose(
        *("--profile", "observe", "up", "--detach", "--no-build", "--wait", "--no-deps"),
        *("prometheus", "--wait-timeout", "60"),
        within_s=90,
    )

    def asked(query: str) -> str:
        command = ("exec", "sep-prometheus", "promtool", "query", "instant")
        return containers.engine.docker(*command, "http://127.0.0.1:9090", query)

    await eventually(lambda: asked("count(sep_serving == 1) == 4"), within_s=60, every_s=1)
    await eventually(lambda: asked("sep:market_open == 1"), within_s=60, every_s=1)


def test_down_leaves_the_state_in_its_volume(containers: Containers) -> None:
    containers.compose("--profile", "observe", "down", "--timeout", "10")
    assert containers.engine.docker("ps", "--all", "--quiet") == ""
    assert "sep_valkey" in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")


def _last_transaction(containers: Containers) -> int:
    answer = containers.get("/api/oanda/account")
    assert answer.status_code == httpx.codes.OK, answer.text
    return int(answer.json()["last_transaction_id"])


def _kill_switch(containers: Containers) -> dict[str, object]:
    answer = containers.get("/api/kill-switch")
    assert answer.status_code == httpx.codes.OK, answer.text
    return dict(answer.json())


def _units(containers: Containers, instrument: str) -> int:
    positions = containers.get("/api/oanda/positions").json()["positions"]
    return sum(int(p["long_units"]) for p in positions if p["instrument"] == instrument)
