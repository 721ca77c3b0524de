"""deploy/practice.env as it is: two exported variables and one command reach the broker."""

import os
import re
import subprocess
import sys
from pathlib import Path

from sep_local.check import check_environment
from sep_local.env_file import read_env_file
from sep_local.parts import service_environment
from sep_local.settings import read_settings
from sep_testing.ports import reserve_ports

from tests.e2e.conftest import ROOT

FILE = ROOT / "deploy" / "practice.env"
EXPORTED = {
    "OANDA_API_TOKEN": "not-a-token",
    "OANDA_ACCOUNT_ID": "101-004-1234567-001",
}
NOT_READY = {"gateway", "evaluator", "guard"}


def test_every_setting_is_accepted_and_none_is_a_secret() -> None:
    from_file = read_env_file(FILE)
    env = {**from_file, **EXPORTED}
    # Faults raise an error; there are no warnings either.
    assert check_environment(service_environment(read_settings(env), env), from_file) == []
    assert not set(from_file) & set(EXPORTED)
    assert from_file["KILL_SWITCH"] == "1"


def test_the_broker_is_oandas_practice_server_and_the_state_its_own() -> None:
    env = {**read_env_file(FILE), **EXPORTED}
    settings = read_settings(env)
    services = service_environment(settings, env)
    assert services["OANDA_API_URL"] == "https://api-fxpractice.oanda.com"
    assert services["OANDA_STREAM_URL"] == "https://stream-fxpractice.oanda.com"
    assert settings.run_dir.name == ".run-practice"
    assert not settings.paper_trading


def test_every_line_that_sets_something_is_explained() -> None:
    lines = FILE.read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("# "), line


def test_the_start_fails_at_the_brokers_address_only(tmp_path: Path) -> None:
    """With a closed port of this machine in place of OANDA's server."""
    port = reserve_ports(9)
    broker = f"http://127.0.0.1:{port + 8}"
    names = dict.fromkeys(("OANDA_API_URL", "OANDA_STREAM_URL"), broker)
    environment = {**os.environ, **EXPORTED, **names}
    output, missing = "", set[str]()
    # On a machine that is busy, more than those may be missing after 25 s.
    for within in (25, 100):
        command = ["up", "--env-file", str(FILE), "--port-base", str(port)]
        done = subprocess.run(
            [sys.executable, "-m", "sep_local", *command, "--ready-within", str(within)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=within + 60,
        )
        output = done.stdout
        assert done.returncode == 1, output + done.stderr
        failure = re.search(rf"not ready within {within} s; what is missing: (.*)", output)
        assert failure, output
        missing = set(re.findall(r"(\w+) \(", failure[1]))
        if missing <= NOT_READY:
            break
    # Those that wait for the gateway, and the gateway for the broker.
    assert "gateway" in missing
    assert missing <= NOT_READY
    log = (tmp_path / ".run-practice" / "logs" / "gateway.log").read_text()
    assert re.search(r"not serving.*broker", log), log
    assert not (tmp_path / ".run").exists()
    assert "not-a-token" not in output + log
