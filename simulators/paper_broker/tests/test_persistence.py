"""Persistence over kills and restarts, settings and the command line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sep_kit.death_signal import dying_with_us
from sep_paper_broker.adapters.state_file import StateFile, UnusableStateError
from sep_paper_broker.settings import SettingsError, read_settings

from .conftest import ManualClock, Serve

HEADERS = {"Authorization": "Bearer secret"}
HOME = "/v3/accounts/101-001-0000001-001"


@contextmanager
def process(*options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A broker process and the URL that it prints."""
    command = dying_with_us(sys.executable, "-m", "sep_paper_broker", "--port", "0", *options)
    known = {k: v for k, v in os.environ.items() if not k.startswith(("PAPER_", "OANDA_"))}
    known |= {"OANDA_API_TOKEN": "secret", "MARKET_CALENDAR": "24x7"} | environment
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=known, text=True) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            url = re.search(r"http://127\.0\.0\.1:\d+", line)
            assert url is not None, line
            yield running, url.group()
        finally:
            running.kill()


def order(http: httpx.Client, client_id: str) -> None:
    body = {"order": {"type": "MARKET", "instrument": "EUR_USD", "units": "100",
                      "clientExtensions": {"id": client_id}}}  # fmt: skip
    response = http.post(f"{HOME}/orders", json=body)
    assert response.status_code == 201, response.text


def test_killed_broker_keeps_every_change_it_responded_to(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    with process("--state", str(state)) as (running, url):
        with httpx.Client(base_url=url, headers=HEADERS, verify=False, timeout=30) as http:
            for i in range(5):
                order(http, f"d-{i}")
        running.send_signal(signal.SIGKILL)
        running.wait()
    with (
        process("--state", str(state)) as (_, url),
        httpx.Client(base_url=url, headers=HEADERS, verify=False, timeout=30) as http,
    ):
        for i in range(5):
            found = http.get(f"{HOME}/orders/@d-{i}").json()["order"]
            assert found["state"] == "FILLED"
        position = http.get(f"{HOME}/positions/EUR_USD").json()["position"]
        assert position["long"]["units"] == "500"


def test_broker_ends_promptly_with_a_stream_open(tmp_path: Path) -> None:
    with (
        process() as (running, url),
        httpx.Client(base_url=url, headers=HEADERS, verify=False, timeout=30) as http,
    ):
        path = f"{HOME}/pricing/stream"
        with http.stream("GET", path, params={"instruments": "EUR_USD"}) as response:
            next(response.iter_lines())
            began = time.monotonic()
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=30) == 0
    assert time.monotonic() - began < 30


async def test_stop_reached_while_the_broker_was_down_is_filled_at_its_time(
    tmp_path: Path, serve: Serve, clock: ManualClock
) -> None:
    state = tmp_path / "state.json"
    async with serve(state=state) as client:
        await client.order(1000, stopLossOnFill={"distance": "0.00020"})
    down = clock()
    clock.move(6 * 3600)
    async with serve(state=state) as client:
        (trade,) = (await client.get("/trades", state="CLOSED"))["trades"]
        last = (await client.get("/transactions/sinceid", id=4))["transactions"]
    assert trade["stopLossOrder"]["state"] == "FILLED"
    (fill,) = [t for t in last if t["type"] == "ORDER_FILL"]
    assert fill["time"] == fill["fullPrice"]["time"]
    assert state.stat().st_size
    assert down < clock()


async def test_account_is_the_same_before_and_after_a_restart(tmp_path: Path, serve: Serve) -> None:
    state = tmp_path / "state.json"
    async with serve(state=state) as client:
        await client.order(1000, stopLossOnFill={"price": "0.50000"})
        await client.order(-400, clientExtensions={"id": "x"})
        before = await client.get("")
    async with serve(state=state) as client:
        assert await client.get("") == before
        refused = await client.order(1, 400, clientExtensions={"id": "x"})
        assert refused["errorCode"] == "CLIENT_ORDER_ID_ALREADY_EXISTS"


async def test_history_appended_without_its_state_is_ignored(tmp_path: Path, serve: Serve) -> None:
    state, history = tmp_path / "state.json", tmp_path / "state.json.history"
    async with serve(state=state) as client:
        await client.order(1000)
        saved = state.read_bytes()
        before = await client.get("")
        await client.order(5000, clientExtensions={"id": "x"})
    # As after a kill between the two writes, within a line.
    state.write_bytes(saved)
    history.write_bytes(history.read_bytes()[:-7])
    async with serve(state=state) as client:
        assert await client.get("") == before
        await client.order(500, clientExtensions={"id": "x"})
        after = await client.get("")
    async with serve(state=state) as client:
        assert await client.get("") == after


async def test_state_without_its_history_is_refused(tmp_path: Path, serve: Serve) -> None:
    state, history = tmp_path / "state.json", tmp_path / "state.json.history"
    async with serve(state=state):
        pass
    history.unlink()
    with pytest.raises(UnusableStateError):
        async with serve(state=state):
            pass


@pytest.mark.parametrize("change", [{"seed": 8}, {"account": "101-001-0000001-002"}])
async def test_state_of_another_account_or_market_is_refused(
    tmp_path: Path, serve: Serve, change: dict[str, Any]
) -> None:
    state = tmp_path / "state.json"
    async with serve(state=state):
        pass
    with pytest.raises(UnusableStateError, match="was made with"):
        async with serve(state=state, **change):
            pass


def test_malformed_state_file_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    assert StateFile(path).load() is None
    for text in ("{", "[]", json.dumps({"version": 99}), json.dumps({"version": 1})):
        path.write_text(text)
        with pytest.raises(UnusableStateError):
            StateFile(path).load()
        assert path.read_text() == text


def test_every_bad_setting_is_listed(tmp_path: Path) -> None:
    options = {"port": "70000", "seed": "-1", "balance": "nothing", "market_calendar": "moon"}
    environment = {"OANDA_ACCOUNT_ID": "mine", "PAPER_CANDLES_DIR": str(tmp_path / "none")}
    with pytest.raises(SettingsError) as error:
        read_settings(options, environment)
    assert len(error.value.faults) == 6
    assert all("expected" in fault for fault in error.value.faults)
    assert any("MARKET_CALENDAR" in f or "--market-calendar" in f for f in error.value.faults)


def test_options_override_the_environment_and_secrets_are_not_shown() -> None:
    found = read_settings({"port": "1", "seed": None}, {"PAPER_PORT": "2", "PAPER_SEED": "3"})
    assert (found.port, found.seed) == (1, 3)
    assert "hush" not in repr(read_settings({}, {"OANDA_API_TOKEN": "hush"}))


def test_command_line_shows_help_and_refuses_invalid_options() -> None:
    command = [sys.executable, "-m", "sep_paper_broker"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "--candles-dir" in shown.stdout
    refused = subprocess.run([*command, "--port", "x"], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--port is 'x'" in refused.stderr


async def test_port_in_use_fails_the_start_with_its_address(serve: Serve) -> None:
    async with serve() as client:
        port = int(client.running.url.rpartition(":")[2])
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{port}"):
            async with serve(port=port):
                pass
