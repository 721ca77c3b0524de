"""``sep-stack doctor``: each fault of a machine has its finding, with what to do."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from sep_kit.clock import SystemClock
from sep_local.cli import main
from sep_local.doctor.command import as_text
from sep_local.doctor.findings import GIB, Broker, Finding, KeyFile, Level, Machine, examine
from sep_local.doctor.machine import (
    ask,
    busy_ports,
    disk_free,
    installed_versions,
    is_locked,
    key_files,
    memory_free,
    memory_limit,
)
from sep_local.settings import read_settings
from sep_testing.ports import reserve_ports

ANSWERS = Broker(url="https://broker.example", status=200, ahead_s=0.1)
HEALTHY = Machine(
    run_dir="/srv/sep",
    keys_dir="/srv/sep/keys",
    running=False,
    disk_free=50 * GIB,
    memory_free=4 * GIB,
    memory_limit=None,
    busy_ports=(),
    keys=(KeyFile(name="write", mode=0o600, size=44),),
    missing_keys=(),
    versions={"sep-kit": "0.1.0", "sep-local": "0.1.0"},
    python="3.13.1",
    python_supported=True,
    architecture="x86_64",
    programs={"envoy": "1.40.0", "valkey": "9.0.0"},
    broken=(),
    broker=ANSWERS,
)


def finding(machine: Machine, check: str) -> Finding:
    (found,) = (f for f in examine(machine) if f.check == check)
    return found


def test_a_healthy_machine_has_nothing_to_do() -> None:
    findings = examine(HEALTHY)
    assert [f.check for f in findings] == [
        *("disk", "memory", "clock", "ports", "keys", "versions", "wheels", "broker")
    ]
    assert {(f.level, f.advice) for f in findings} == {(Level.OK, "")}


FAULTS = {
    "disk": (replace(HEALTHY, disk_free=GIB // 2), "0.5 GiB", "SEP_RUN_DIR"),
    "memory": (replace(HEALTHY, memory_free=GIB // 2), "0.5 GiB", "HOTBAND_PAIRS"),
    "memory limit": (replace(HEALTHY, memory_limit=GIB // 2), "0.5 GiB", "HOTBAND_PAIRS"),
    "clock": (replace(HEALTHY, broker=replace(ANSWERS, ahead_s=-60.0)), "60.0 s behind", "chrony"),
    "ports": (replace(HEALTHY, busy_ports=("port 8000 is in use",)), "8000", "--port-base"),
    "keys": (replace(HEALTHY, keys=(KeyFile(name="write", mode=0o644, size=9),)), "644", "chmod"),
    "keys empty": (
        replace(HEALTHY, keys=(KeyFile(name="write", mode=0o600, size=0),)),
        "write is empty",
        "delete",
    ),
    "versions": (
        replace(HEALTHY, versions={"sep-kit": "0.1.0", "sep-local": "0.2.0"}),
        "sep-local 0.2.0",
        "make clean run",
    ),
    "versions python": (
        replace(HEALTHY, python="3.9.2", python_supported=False),
        "Python 3.9.2",
        "Python 3.11",
    ),
    "wheels": (replace(HEALTHY, broken=("envoy",)), "envoy", "install envoy again"),
    "wheels machine": (replace(HEALTHY, architecture="riscv64"), "riscv64", "x86_64"),
    "broker": (
        replace(HEALTHY, broker=Broker(url="https://b", status=None, error="no route")),
        "no route",
        "DNS",
    ),
    "broker token": (
        replace(HEALTHY, broker=replace(ANSWERS, status=401)),
        "status 401",
        "OANDA_API_TOKEN",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_what_was_seen_and_what_to_do(name: str) -> None:
    machine, observed, advice = FAULTS[name]
    found = finding(machine, name.split(maxsplit=1)[0])
    assert found.level is Level.FAULT
    assert observed in found.observed
    assert advice in found.advice
    assert advice in as_text([found])


WARNINGS = {
    "disk": replace(HEALTHY, disk_free=3 * GIB),
    "disk unknown": replace(HEALTHY, disk_free=None),
    "memory": replace(HEALTHY, memory_free=GIB),
    "memory unknown": replace(HEALTHY, memory_free=None),
    "clock": replace(HEALTHY, broker=replace(ANSWERS, ahead_s=3.0)),
    "clock unknown": replace(HEALTHY, broker=replace(ANSWERS, ahead_s=None)),
    "broker": replace(HEALTHY, broker=replace(ANSWERS, status=503)),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_has_something_to_do(name: str) -> None:
    found = finding(WARNINGS[name], name.split(maxsplit=1)[0])
    assert found.level is Level.WARNING
    assert found.advice


def test_a_stack_that_runs_holds_its_ports_and_memory() -> None:
    machine = replace(HEALTHY, running=True, memory_free=0, busy_ports=("port 8000 is in use",))
    assert {f.level for f in examine(machine)} == {Level.OK}


def test_paper_needs_no_broker() -> None:
    assert {f.level for f in examine(replace(HEALTHY, broker=None))} == {Level.OK}


def test_keys_that_are_missing_are_made_at_the_next_start() -> None:
    assert "first start" in finding(replace(HEALTHY, keys=None), "keys").observed
    missing = replace(HEALTHY, missing_keys=("internal.guard",))
    assert "internal.guard" in finding(missing, "keys").observed
    assert finding(missing, "keys").level is Level.OK


@contextmanager
def broker(status: int, date: str | None) -> Iterator[tuple[str, list[str]]]:
    """A server with one answer; its URL, and the tokens that it was sent."""
    tokens: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tokens.append(self.headers.get("authorization", ""))
            self.send_response_only(status)
            if date is not None:
                self.send_header("Date", date)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", tokens
    finally:
        server.shutdown()
        server.server_close()


def test_the_broker_is_asked_with_the_token_and_for_its_time() -> None:
    with broker(200, formatdate(SystemClock().now_ns() / 1e9 - 3600, usegmt=True)) as (url, tokens):
        seen = ask(url, "secret", SystemClock())
    assert tokens == ["Bearer secret"]
    assert seen.status == 200
    assert seen.ahead_s is not None
    assert 3500 < seen.ahead_s < 3700


def test_a_refusal_without_a_token_is_an_answer() -> None:
    with broker(401, None) as (url, _):
        assert ask(url, None, SystemClock()) == Broker(url=url, status=200)
        assert ask(url, "wrong", SystemClock()).status == 401


def test_a_broker_that_is_away_has_its_error() -> None:
    with broker(200, None) as (url, _):
        pass
    seen = ask(url, None, SystemClock())
    assert seen.status is None
    assert "refused" in seen.error


def test_the_lock_of_a_running_stack_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    with path.open("w") as lock:
        assert not is_locked(path)
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert is_locked(path)
    assert not is_locked(path)


def test_free_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert disk_free(tmp_path / "not" / "yet") is not None


def test_memory_is_read_from_the_kernels_files(tmp_path: Path) -> None:
    assert memory_free(tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    1024 kB\n")
    assert memory_free(tmp_path) == 1024 * 1024
    assert memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    assert memory_limit(tmp_path) == 600


def test_keys_have_their_permissions_and_sizes(tmp_path: Path) -> None:
    assert key_files(tmp_path / "keys") is None
    (tmp_path / ".draft").touch()
    (tmp_path / "write").write_text("abc")
    (tmp_path / "write").chmod(0o640)
    assert key_files(tmp_path) == (KeyFile(name="write", mode=0o640, size=3),)


def test_packages_of_this_project_have_versions() -> None:
    assert {"sep-kit", "sep-local"} <= installed_versions().keys()


def test_a_port_in_use_is_named_with_its_setting() -> None:
    assert busy_ports(read_settings({}, reserve_ports(10))) == ()
    with broker(200, None) as (url, _):
        taken = url.rpartition(":")[2]
        moved = read_settings({"HTTP_PORT": taken})
        (fault,) = (f for f in busy_ports(moved) if "HTTP_PORT" in f)
    assert f"port {taken} is in use" in fault


def test_wrong_settings_are_the_one_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OANDA_ENVIRONMENT", raising=False)
    env_file = tmp_path / "my.env"
    env_file.write_text("OANDA_ENVIRONMENT=moon\n")
    assert main(["doctor", "--json", "--env-file", str(env_file)]) == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["check"], found["level"]) == ("settings", "fault")
    assert "OANDA_ENVIRONMENT" in found["observed"]


def test_the_command_looks_at_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEP_RUN_DIR", str(tmp_path / "run"))
    code = main(["doctor", "--json", "--port-base", str(reserve_ports(10))])
    findings = {f["check"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert code == int(any(f["level"] == "fault" for f in findings.values()))
    assert findings["wheels"]["level"] == "ok", findings
    assert findings["ports"]["level"] == "ok", findings
    assert "valkey" in findings["wheels"]["observed"]
    assert not (tmp_path / "run").exists(), "it changes nothing"
