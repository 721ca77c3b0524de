"""Backing up and restoring a whole stack that trades, by the commands of the handbook's page."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sep_testing.eventually import eventually

from tests.e2e.conftest import Stack
from tests.operations.backup_page import BackupPage

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path / "run")
    yield running
    running.stop()


def broker(stack: Stack, path: str) -> dict[str, object]:
    """The paper broker's own answer."""
    url = f"http://127.0.0.1:{stack.port + 2}/v3/accounts/101-001-0000001-001/{path}"
    headers = {"Authorization": "Bearer demo-token-not-a-secret"}
    response = httpx.get(url, headers=headers, timeout=30)
    assert response.status_code == httpx.codes.OK, response.text
    found: dict[str, object] = response.json()
    return found


def net_units(stack: Stack) -> dict[str, int]:
    """The broker's open positions."""
    found: dict[str, int] = {}
    for trade in broker(stack, "openTrades")["trades"]:  # type: ignore[attr-defined]
        name = trade["instrument"]
        found[name] = found.get(name, 0) + int(float(trade["currentUnits"]))
    return {name: units for name, units in found.items() if units}


def seen_units(stack: Stack) -> dict[str, int]:
    """Open positions by the stack's API."""
    found = {}
    for position in stack.read("/api/oanda/positions")["positions"]:
        units = sum(int(float(position[side])) for side in ("long_units", "short_units"))
        if units:
            found[position["instrument"]] = units
    return found


def entries(stack: Stack) -> list[str]:
    """Client ids of the market orders that the broker has taken, in order."""
    found = broker(stack, "transactions/sinceid?id=0")["transactions"]
    return [
        t["clientExtensions"]["id"]
        for t in found  # type: ignore[attr-defined]
        if t["type"] == "MARKET_ORDER" and "clientExtensions" in t
    ]


def kill_switch(stack: Stack) -> dict[str, object]:
    found: dict[str, object] = stack.read("/api/kill-switch")
    return found


async def test_a_destroyed_state_comes_back_halted_reconciled_and_trades_on_after_a_release(
    own_stack: Stack, tmp_path: Path
) -> None:
    """Every command of the page runs on the way."""
    stack = own_stack
    environment = {
        "SEP_RUN_DIR": str(stack.run_dir),
        "SEP_URL": stack.url,
        "SEP_KEY_FILE": str(stack.run_dir / "keys" / "write"),
    }
    page = BackupPage(tmp_path / "project", environment)
    stack.start()
    stack.wait_until_warm()
    await eventually(lambda: net_units(stack), within_s=600, every_s=1)
    page.run("Back up", "state", "cron")
    assert "good" in page.run("Verify", "state")
    page.run("Releases", "state")
    # What happens after the backup is not in it.
    stack.post("/api/trade/reconcile", {})
    stack.stop()

    shutil.rmtree(stack.run_dir / "valkey")
    shutil.rmtree(stack.run_dir / "journal")
    page.run("Restore", "state")
    stack.start()
    sent = entries(stack)
    assert kill_switch(stack)["kill_switch"] is True
    # The breaker's, where the guard has already seen fills that are not in the backup.
    reason = str(kill_switch(stack)["reason"])
    assert "restored from sep-" in reason or "second writer" in reason
    stack.wait_until_warm()
    # Stops and exits go on while it is halted, entries don't.
    await eventually(lambda: seen_units(stack) == net_units(stack), within_s=120, every_s=1)
    assert kill_switch(stack)["kill_switch"] is True

    # A torn end of the file, as a power cut leaves it.
    stack.stop()
    *_, file = sorted((stack.run_dir / "valkey" / "appendonlydir").glob("*.incr.aof"))
    with file.open("ab") as out:
        out.write(b"*3\r\n$3\r\nSET\r\n$5\r\nto")
    assert "ends inside of a command" in page.run("Repair", "state")
    stack.start()
    assert kill_switch(stack)["kill_switch"] is True
    stack.wait_until_warm()

    page.run("Restore", "local")
    assert kill_switch(stack)["kill_switch"] is False
    await eventually(lambda: len(entries(stack)) > len(sent), within_s=600, every_s=1)
    ids = entries(stack)
    assert len(ids) == len(set(ids)), "an order was sent twice"
    await eventually(lambda: seen_units(stack) == net_units(stack), within_s=120, every_s=1)
    assert page.left == []
