"""deploy.sh: where nothing ran, over what trades, failing at each step, stopped half way.

In this order: each test goes on where the one before stopped, and the last one takes all down.
"""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.containers.conftest import NAMES, Containers, Deployed
from tests.containers.override import HOLDER
from tests.operations.documents import all_commands

pytestmark = pytest.mark.timeout(600)

ORIGIN = "https://desk.example"


@pytest.fixture(autouse=True)
def standing(containers: Containers, deployed: Deployed) -> Iterator[None]:
    """Whatever a deploy ends with, the stack works and the kill switch is engaged."""
    containers.set_kill_switch(engaged=True)
    yield
    assert containers.healthy()
    assert containers.kill_switch is True


@pytest.fixture
def trading(containers: Containers, standing: None) -> None:
    """Entries may pass when the deploy begins."""
    containers.set_kill_switch(engaged=False)


def started(containers: Containers, *names: str) -> dict[str, str]:
    """When each container was started."""
    return {name: containers.inspect(name)["State"]["StartedAt"] for name in names or NAMES}


def running(containers: Containers) -> dict[str, tuple[str, list[str]]]:
    """Image and environment of each container."""
    told = {name: containers.inspect(name) for name in NAMES}
    return {name: (t["Image"], sorted(t["Config"]["Env"])) for name, t in told.items()}


def env_file(containers: Containers, folder: Path, *lines: str) -> str:
    """The demo's settings and some more."""
    path = folder / "changed.env"
    demo = (containers.project / "deploy" / "demo.env").read_text()
    path.write_text("\n".join([demo, *lines, ""]))
    return str(path)


def test_a_deploy_ends_with_everything_verified(deployed: Deployed) -> None:
    for check in ("health", "gates blob", "coherence", "ranking", "allocation", "kill switch"):
        assert re.search(rf"{check}\s+│ ok", deployed.output), deployed.output[-4000:]
    assert "warm: backfill, prime, hydrate for 8 instruments" in deployed.output
    assert "8 of 8" in deployed.output
    assert deployed.engaged is True


@pytest.mark.usefixtures("trading")
def test_a_build_that_fails_changes_nothing(containers: Containers) -> None:
    before = started(containers)
    project = containers.project / "services" / "guard" / "pyproject.toml"
    sound = project.read_text()
    project.write_text(sound + "this is no TOML\n")
    try:
        code, output = containers.deploy("--wait", "60")
    finally:
        project.write_text(sound)
    assert code == 1, output[-4000:]
    assert "FAILED at: building images" in output
    assert "Nothing was changed" in output
    assert started(containers) == before
    assert containers.kill_switch is False
    containers.set_kill_switch(engaged=True)


@pytest.mark.usefixtures("trading")
def test_a_stack_that_does_not_start_is_taken_back(containers: Containers, tmp_path: Path) -> None:
    before = running(containers)
    broken = env_file(containers, tmp_path, "GUARD_MIN_COHERENCE=0.1")
    code, output = containers.deploy("--wait", "180", "--env-file", broken)
    assert_taken_back(code, output, "starting with entries forbidden")
    assert "GUARD_MIN_COHERENCE" in output
    assert running(containers) == before


@pytest.mark.usefixtures("trading")
@pytest.mark.parametrize(
    ("step", "script", "mishap", "told"),
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
def test_a_stack_to_which_something_happens_meanwhile_is_taken_back(
    containers: Containers, tmp_path: Path, step: str, script: str, mishap: str, told: str
) -> None:
    """Just before a script of deploy.sh a service is stopped, or the kill switch released."""
    python = tmp_path / "python"
    own = containers.project / ".venv" / "bin" / "python"
    happens = mishap.format(python=own)
    python.write_text(f'#!/bin/sh\ncase $1 in *{script}.py) {happens} ;; esac\nexec {own} "$@"\n')
    python.chmod(0o755)
    before = running(containers)
    code, output = containers.deploy("--wait", "180", SEP_PYTHON=str(python))
    assert_taken_back(code, output, step)
    assert re.search(told, output), output[-4000:]
    assert running(containers) == before


def assert_taken_back(code: int, output: str, step: str) -> None:
    """deploy.sh says where it failed, and that what ran before runs again."""
    assert code == 1, output[-4000:]
    assert f"FAILED at: {step}" in output, output[-4000:]
    assert "rolled back; the kill switch is engaged" in output, output[-4000:]


@pytest.mark.usefixtures("trading")
def test_ctrl_c_takes_back_what_was_begun_however_often_it_comes(
    containers: Containers, tmp_path: Path
) -> None:
    before = running(containers)
    stale = env_file(containers, tmp_path, "FRESH_MAX_SIGNAL_AGE_SEC=0.001")
    output = tmp_path / "output"
    process = containers.start("./deploy.sh", "--wait", "180", "--env-file", stale)
    with process, output.open("w+") as told:
        assert process.stdout is not None
        for line in process.stdout:
            told.write(line)
            if "deploy: warming up" in line or "bringing back" in line:
                os.killpg(process.pid, signal.SIGINT)
        code = process.wait(timeout=120)
    said = output.read_text()
    assert_taken_back(code, said, "warming up")
    assert "was stopped" in said
    assert running(containers) == before


@pytest.mark.usefixtures("trading")
def test_a_deploy_over_a_stack_that_trades_forbids_entries_first_and_keeps_positions(
    containers: Containers, tmp_path: Path
) -> None:
    containers.trade("EUR_GBP", 1234)  # no weight ever asks for it
    before = started(containers)
    changed = env_file(containers, tmp_path, f"CORS_ORIGINS={ORIGIN}")
    code, output = containers.deploy("--wait", "180", "--env-file", changed)
    assert code == 0, output[-6000:]
    assert output.index("kill switch engaged") < output.index("Recreate")
    again = started(containers)
    assert all(again[name] != before[name] for name in NAMES if name != "sep-valkey")
    positions = containers.get("/api/oanda/positions").json()["positions"]
    assert [p["long_units"] for p in positions if p["instrument"] == "EUR_GBP"] == ["1234"]
    # Envoy started again, with the settings of its edge.
    answer = httpx.get(f"{containers.url}/api/status", headers={"origin": ORIGIN}, timeout=10)
    assert answer.headers["access-control-allow-origin"] == ORIGIN

    # The same release and settings again: only the guard starts anew, to forbid entries.
    containers.set_kill_switch(engaged=False)
    code, output = containers.deploy("--wait", "180", "--env-file", changed)
    assert code == 0, output[-6000:]
    others = [name for name in NAMES if name != "sep-guard"]
    assert started(containers, *others) == {name: again[name] for name in others}


def test_the_state_of_one_broker_is_not_given_to_another(
    containers: Containers, tmp_path: Path
) -> None:
    practice = env_file(
        containers, tmp_path, "OANDA_ENVIRONMENT=practice", "OANDA_ACCOUNT_ID=101-004-1-001"
    )
    token = tmp_path / "token"
    token.write_text("not-a-token")
    code, output = containers.deploy(
        *("--profile", "practice", "--env-file", practice, "--token-file", str(token))
    )
    assert code == 2, output
    assert "hold the state of 'paper 101-001-0000001-001'" in output


class TestTheEnd:
    """Nothing runs any more."""

    @pytest.fixture(autouse=True)
    def standing(self) -> None:
        """Not here."""

    def test_down_leaves_the_state_in_its_volume(self, containers: Containers) -> None:
        containers.compose("--profile", "observe", "down", "--timeout", "10")
        # The build that failed left a container of its own behind.
        assert containers.engine.docker("ps", "--all", "--quiet", "--filter", "name=sep-") == ""
        assert "sep_valkey" in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")

    def test_where_nothing_ran_before_a_failed_deploy_leaves_nothing(
        self, containers: Containers, tmp_path: Path
    ) -> None:
        broken = env_file(containers, tmp_path, "GUARD_MIN_COHERENCE=0.1")
        code, output = containers.deploy("--wait", "60", "--env-file", broken)
        assert code == 1, output[-4000:]
        assert "nothing ran before" in output
        # The build that failed left a container of its own behind.
        assert containers.engine.docker("ps", "--all", "--quiet", "--filter", "name=sep-") == ""
        assert "sep_valkey" in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")

    def test_the_end_that_the_pages_tell_leaves_nothing_at_all(
        self, containers: Containers
    ) -> None:
        containers.compose("up", "--detach", "--no-build", "--no-deps", HOLDER, "valkey")
        (command,) = (c for c in all_commands() if c.kind == "end")
        code, output = containers.run("bash", "-euo", "pipefail", "-c", command.text)
        assert code == 0, output
        assert containers.engine.docker("ps", "--all", "--quiet", "--filter", "name=sep-") == ""
        assert "sep_valkey" not in containers.engine.docker("volume", "ls", "--format", "{{.Name}}")
