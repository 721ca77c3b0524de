"""The operators' scripts against a running stack."""

import json

import pytest

from tests.operations.operator_shell import OperatorShell

pytestmark = pytest.mark.timeout(600)

WARM_UP = (".venv/bin/python", "scripts/ops/warmup_orchestrator.py")


def test_after_a_warm_up_every_pair_has_coherence(shell: OperatorShell) -> None:
    code, output = shell.run(*WARM_UP, "--days", "1", "--wait", "120", within_s=280)
    assert code == 0, output
    assert "warm: backfill, prime, hydrate for 8 instruments" in output
    statuses = shell.stack.read("/api/coherence/status")["statuses"]
    assert len(statuses) == 8
    assert all(s["metrics"] and s["fresh"] for s in statuses)


def test_a_second_warm_up_fetches_nothing(shell: OperatorShell) -> None:
    def requests() -> float:
        metrics = shell.stack.get("/metrics").text.splitlines()
        lines = [x for x in metrics if x.startswith("sep_grpc_requests_total{")]
        return sum(float(x.rpartition(" ")[2]) for x in lines if "FetchCandles" in x)

    shell.run(*WARM_UP, "--steps", "backfill", "--count", "300")
    before = requests()
    code, output = shell.run(*WARM_UP, "--steps", "backfill", "--count", "300")
    assert code == 0, output
    assert requests() == before


def test_what_is_missing_is_printed_in_a_table(shell: OperatorShell) -> None:
    code, output = shell.run(*WARM_UP, "--pairs", "EUR_USD,XXX_YYY", "--count", "10")
    assert code == 1
    assert "not warm" in output
    assert "XXX_YYY" in output
    assert "UNKNOWN_INSTRUMENT" in " ".join(output.split()).replace(" │ │ │ ", "")


def test_an_unreachable_stack_is_reported_at_once(shell: OperatorShell) -> None:
    code, output = shell.run(*WARM_UP, "--url", "http://127.0.0.1:9")
    assert (code, "UNREACHABLE" in output) == (1, True), output


@pytest.mark.parametrize(
    "wrong",
    [("--steps", "boil"), ("--granularity", "M"), ("--count", "0"), ("--days", "-1"), ("--what",)],
)
def test_a_wrong_call_is_refused_and_names_the_option(
    shell: OperatorShell, wrong: tuple[str, ...]
) -> None:
    code, output = shell.run(*WARM_UP, *wrong)
    assert code == 2, output
    assert wrong[0] in output


def test_verification_names_the_failed_check(shell: OperatorShell) -> None:
    verify = (".venv/bin/python", "scripts/ops/verify_stack.py")
    shell.set_kill_switch(engaged=True)
    code, output = shell.run(*verify, "--wait", "60", "--kill-switch", "engaged")
    assert (code, "FAULT" in output) == (0, False), output
    code, output = shell.run(*verify, "--kill-switch", "released")
    assert code == 1
    assert [x for x in output.splitlines() if "FAULT" in x and "kill switch" in x], output


def test_a_snapshot_holds_every_read(shell: OperatorShell) -> None:
    code, output = shell.run(".venv/bin/python", "scripts/ops/snapshot.py", "--out", "snapshots")
    assert code == 0, output
    (written,) = (shell.folder / "snapshots").iterdir()
    taken = json.loads(written.read_text())
    assert len(taken["/api/ranking/active"]["ranking"]) == 8
    assert taken["health"]["guard"] == "serving"


def test_drain_refuses_while_the_kill_switch_is_released(shell: OperatorShell) -> None:
    shell.set_kill_switch(engaged=False)
    code, output = shell.run("bin/drain_overcap_only.sh")
    shell.set_kill_switch(engaged=True)
    assert (code, "REFUSED" in output) == (3, True), output


@pytest.mark.parametrize("wrong", [("--buffer-pct", "101"), ("--min-units", "-1"), ("--all",)])
def test_a_wrong_drain_is_refused(shell: OperatorShell, wrong: tuple[str, ...]) -> None:
    code, output = shell.run("bin/drain_overcap_only.sh", *wrong)
    assert code == 2, output
