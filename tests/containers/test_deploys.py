"""deploy.sh: the first deploy, deploys over a running stack, failures, Ctrl-C, and removal.

The order matters: each test starts with the stack that the one before left, and the last tests
remove it.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.containers.conftest import NAMES, Containers, Deployed
from tests.containers.override import HOLDER
from tests.operations.documents import all_commands

pytestmark = pytest.mark.timeout(600)

ORIGIN = "https://trader.example"


@pytest.fixture(autouse=True)
def healthy_and_engaged(containers: Containers, deployed: Deployed) -> Iterator[None]:
    """After every deploy the stack is healthy and the kill switch is engaged."""
    containers.set_kill_switch(engaged=True)
    yield
    assert containers.healthy()
    assert containers.kill_switch is True


@pytest.fixture
def trading(containers: Containers, healthy_and_engaged: None) -> None:
    """The kill switch is released when the deploy begins."""
    containers.set_kill_switch(engaged=False)


def start_times(containers: Containers, *names: str) -> dict[str, str]:
    """Start time of each container."""
    return {name: containers.inspect(name)["State"]["StartedAt"] for name in names or NAMES}


def configurations(containers: Containers) -> dict[str, tuple[str, list[str]]]:
    """Image and environment of each container."""
    found = {name: containers.inspect(name) for name in NAMES}
    return {name: (f["Image"], sorted(f["Config"]["Env"])) for name, f in found.items()}


def env_file(containers: Containers, folder: Path, *lines: str) -> str:
    """Write an env file with the settings of the demo and more lines; its path."""
    path = folder / "changed.env"
    demo = (containers.project / "deploy" / "demo.env").read_text()
    path.write_text("\n".join([demo, *lines, ""]))
    return str(path)


@contextmanager
def release_that_does_not_start(containers: Containers) -> Iterator[None]:
    """The project with a guard that ends at once: a deploy finds faulty settings sooner."""
    main = containers.project / "services" / "guard" / "src" / "sep_guard" / "__main__.py"
    valid = main.read_text()
    main.write_text('raise SystemExit("this release does not start")\n')
    try:
        yield
    finally:
        main.write_text(valid)


def test_a_deploy_verifies_the_stack(deployed: Deployed) -> None:
    for check in ("health", "gates blob", "coherence", "ranking", "allocation", "kill switch"):
        assert re.search(rf"{check}\s+│ ok", deployed.output), deployed.output[-4000:]
    assert "warm: backfill, prime, hydrate for 8 instruments" in deployed.output
    assert "8 of 8" in deployed.output
    assert deployed.engaged is True


@pytest.mark.usefixtures("trading")
def test_a_failed_build_changes_nothing(containers: Containers) -> None:
    before = start_times(containers)
    project = containers.project / "services" / "guard" / "pyproject.toml"
    valid = project.read_text()
    project.write_text(valid + "this is no TOML\n")
    try:
        code, output = containers.deploy("--wait", "60")
    finally:
        project.write_text(valid)
    assert code == 1, output[-4000:]
    assert "FAILED at: building images" in output
    assert "Nothing was changed" in output
    assert start_times(containers) == before
    assert containers.kill_switch is False
    containers.set_kill_switch(engaged=True)


@pytest.mark.usefixtures("trading")
def test_settings_with_faults_change_nothing(containers: Containers, tmp_path: Path) -> None:
    before = start_times(containers)
    faulty = env_file(containers, tmp_path, "GUARD_MIN_COHERENCE=0.1")
    code, output = containers.deploy("--env-file", faulty)
    assert code == 2, output[-4000:]
    assert "GUARD_MIN_COHERENCE = '0.1'" in output
    assert start_times(containers) == before
    containers.set_kill_switch(engaged=True)


@pytest.mark.usefixtures("trading")
def test_a_stack_that_does_not_start_is_rolled_back(containers: Containers) -> None:
    before = configurations(containers)
    with release_that_does_not_start(containers):
        code, output = containers.deploy("--wait", "60")
    assert_rolled_back(code, output, "starting with entries forbidden")
    assert "this release does not start" in output
    assert configurations(containers) == before


@pytest.mark.usefixtures("trading")
@pytest.mark.parametrize(
    ("step", "script", "fault", "message"),
    [
        ("warming up", "warmup_orchestrator", "docker stop sep-gateway", "can't begin"),
        (
            "verifying",
            "verify_stack",
            "{python} scripts/ops/kill_switch.py release --reason too-early",
            r"kill switch\s+│ FAULT",
        ),
    ],
)
def test_a_stack_that_fails_a_later_step_is_rolled_back(
    containers: Containers, tmp_path: Path, step: str, script: str, fault: str, message: str
) -> None:
    """Just before a script of deploy.sh runs, a service is stopped or the kill switch released."""
    python = tmp_path / "python"
    own = containers.project / ".venv" / "bin" / "python"
    command = fault.format(python=own)
    python.write_text(f'#!/bin/sh\ncase $1 in *{script}.py) {command} ;; esac\nexec {own} "$@"\n')
    python.chmod(0o755)
    before = configurations(containers)
    code, output = containers.deploy("--wait", "180", SEP_PYTHON=str(python))
    assert_rolled_back(code, output, step)
    assert re.search(message, output), output[-4000:]
    assert configurations(containers) == before


def assert_rolled_back(code: int, output: str, step: str) -> None:
    """deploy.sh names the failed step and reports that what ran before runs again."""
    assert code == 1, output[-4000:]
    assert f"FAILED at: {step}" in output, output[-4000:]
    assert "rolled back; the kill switch is engaged" in output, output[-4000:]


@pytest.mark.usefixtures("trading")
def test_ctrl_c_rolls_a_deploy_back_however_often_it_comes(
    containers: Containers, tmp_path: Path
) -> None:
    before = configurations(containers)
    stale = env_file(containers, tmp_path, "FRESH_MAX_SIGNAL_AGE_SEC=0.001")
    output = tmp_path / "output"
    process = containers.start("./deploy.sh", "--wait", "180", "--env-file", stale)
    with process, output.open("w+") as file:
        assert process.stdout is not None
        for line in process.stdout:
            file.write(line)
            if "deploy: warming up" in line or "bringing back" in line:
                os.killpg(process.pid, signal.SIGINT)
        code = process.wait(timeout=120)
    text = output.read_text()
    assert_rolled_back(code, text, "warming up")
    assert "was stopped" in text
    assert configurations(containers) == before


@pytest.mark.usefixtures("trading")
def test_a_deploy_over_a_trading_stack_engages_the_switch_first_and_keeps_positions(
    containers: Containers, tmp_path: Path
) -> None:
    containers.trade("EUR_GBP", 1234)  # no weight ever asks for it
    before = start_times(containers)
    changed = env_file(containers, tmp_path, f"CORS_ORIGINS={ORIGIN}")
    code, output = containers.deploy("--wait", "180", "--env-file", changed)
    assert code == 0, output[-6000:]
    assert output.index("kill switch engaged") < output.index("Recreate")
    again = start_times(containers)
    assert all(again[name] != before[name] for name in NAMES if name != "sep-valkey")
    positions = containers.get("/api/oanda/positions").json()["positions"]
    assert [p["long_units"] for p in positions if p["instrument"] == "EUR_GBP"] == ["1234"]
    # Envoy was restarted with its new settings.
    answer = httpx.get(f"{containers.url}/api/status", headers={"origin": ORIGIN}, timeout=10)
    assert answer.headers["access-control-allow-origin"] == ORIGIN

    # The same release and settings again: only the guard is restarted, to forbid entries.
    containers.set_kill_switch(engaged=False)
    code, output = containers.deploy("--wait", "180", "--env-file", changed)
    assert code == 0, output[-6000:]
    others = [name for name in NAMES if name != "sep-guard"]
    assert start_times(containers, *others) == {name: again[name] for name in others}


def test_the_state_of_one_broker_is_not_used_with_another(
    containers: Containers, tmp_path: Path
) -> None:
    practice = tmp_path / "practice.env"
    shipped = (containers.project / "deploy" / "practice.env").read_text()
    practice.write_text(f"{shipped}\nOANDA_ACCOUNT_ID=101-004-1-001\n")
    token = tmp_path / "token"
    token.write_text("not-a-token")
    code, output = containers.deploy(
        *("--profile", "practice", "--env-file", str(practice), "--token-file", str(token))
    )
    assert code == 2, output
    assert "hold the state of 'paper 101-001-0000001-001'" in output


class TestRemoval:
    """Nothing runs any more."""

    @pytest.fixture(autouse=True)
    def healthy_and_engaged(self) -> None:
        """Replaces the check of the module: there is no stack to check."""

    def test_down_keeps_the_volumes(self, containers: Containers) -> None:
        containers.compose("--profile", "observe", "down", "--timeout", "10")
        # By name: the failed build left a container behind.
        assert containers.engine.docker("ps", "--all", "--quiet", "--filter", "name=sep-") == ""
        assert "sep_valkey" in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")

    def test_a_failed_first_deploy_removes_its_containers(self, containers: Containers) -> None:
        with release_that_does_not_start(containers):
            code, output = containers.deploy("--wait", "60")
        assert code == 1, output[-4000:]
        assert "nothing ran before" in output
        # By name: the failed build left a container behind.
        assert containers.engine.docker("ps", "--all", "--quiet", "--filter", "name=sep-") == ""
        assert "sep_valkey" in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")

    def test_the_documented_removal_leaves_no_container_and_no_state(
        self, containers: Containers
    ) -> None:
        containers.compose("up", "--detach", "--no-build", "--no-deps", HOLDER, "valkey")
        (command,) = (c for c in all_commands() if c.kind == "end")
        code, output = containers.run("bash", "-euo", "pipefail", "-c", command.text)
        assert code == 0, output
        assert containers.engine.docker("ps", "--all", "--quiet", "--filter", "name=sep-") == ""
        assert "sep_valkey" not in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")
