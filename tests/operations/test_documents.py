"""Every command in the operations pages runs, as written."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.operations.desk import Desk
from tests.operations.documents import PAGES, ROOT, Command, all_commands

KINDS = {"", "deploy", "docker", "dry", "end", "setup"}
RUNS_DOCKER = {"docker", "end"}
# Words that a command begins with; `make run` alone is a name for how a stack was started.
PROGRAMS = ("./", "bin/", "scripts/", ".venv/", "curl ", "docker ", "kubectl ", "make ")
RULES = ROOT / "deploy" / "prometheus" / "sep-rolling.rules.yaml"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", [c for c in all_commands() if c.kind in {"", "dry"}], ids=str)
def test_a_command_runs_as_written(desk: Desk, command: Command) -> None:
    code, output = desk.run("bash", "-euo", "pipefail", "-c", command.text)
    assert code == 0, f"{command.text}\n{output}"


def test_every_block_is_of_a_kind_that_some_test_runs() -> None:
    assert {c.kind for c in all_commands()} <= KINDS
    assert any(c.kind == "docker" for c in all_commands())
    for command in all_commands():
        assert ("docker" in command.text) == (command.kind in RUNS_DOCKER), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_stands_in_a_sentence_where_no_test_finds_it(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    commands = {s for s in spans if s.startswith(PROGRAMS) and " " in s}
    assert commands <= {"make run"}


@pytest.mark.timeout(120)
def test_what_the_pages_deploy_with_is_what_a_deploy_takes(desk: Desk) -> None:
    """As dry runs, with the practice settings that the README tells how to make.

    The paper profile is deployed for real where containers run.
    """
    # The drain among the commands refuses to run while entries may pass.
    desk.set_kill_switch(engaged=True)
    page = (ROOT / "README.md").read_text()
    block = page.partition("## In containers")[2].partition("```sh\n")[2].partition("```")[0]
    blocks = [block, *(c.text for c in all_commands() if c.kind == "deploy")]
    lines = [line for block in blocks for line in block.splitlines() if line]
    commands = [line.partition("#")[0].strip() for line in lines]
    assert [c.split()[0] for c in commands].count("./deploy.sh") == 4
    demo = (ROOT / "deploy" / "demo.env").read_text()
    cadence = demo.partition("# --- Cadence")[2].partition("# --- Logs")[0]
    practice = demo.replace(cadence, "").replace("KILL_SWITCH=0", "")
    for name, value in {
        "OANDA_ENVIRONMENT": "practice", "CANDLE_GRANULARITY": "M1", "MARKET_CALENDAR": "fx"
    }.items():  # fmt: skip
        assert re.search(rf"{name}={value}", page)
        practice = re.sub(rf"^{name}=.*$", f"{name}={value}", practice, flags=re.M)
    (desk.folder / "practice.env").write_text(practice)
    (desk.folder / "token.txt").write_text("not-a-token")
    for command in commands:
        dry = command if "--dry-run" in command else f"{command} --dry-run"
        code, output = desk.run("bash", "-euo", "pipefail", "-c", dry)
        assert code == 0, f"{command}\n{output}"


def test_setups_name_what_the_scripts_read() -> None:
    setup = the_setup()
    assert set(re.findall(r"export (\w+)=", setup)) == {"SEP_URL", "SEP_KEY_FILE"}


@pytest.mark.parametrize("made", [".run/keys/write", ".run/deploy/write_key"])
def test_the_setup_finds_the_key_however_the_stack_was_started(tmp_path: Path, made: str) -> None:
    (tmp_path / made).parent.mkdir(parents=True)
    (tmp_path / made).write_text("k" * 32)
    script = f'{the_setup()}\necho "$SEP_URL $SEP_KEY_FILE"'
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == f"http://127.0.0.1:8000 {made}\n"


def the_setup() -> str:
    (setup,) = {c.text for c in all_commands() if c.kind == "setup"}
    return setup


def test_every_alert_has_its_section_in_the_runbook() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/operations/runbook.md").read_text(), re.M)
    alerts = [rule for rule in group["rules"] if "alert" in rule]
    assert sorted(sections) == sorted(rule["alert"] for rule in alerts)
    for rule in alerts:
        assert rule["annotations"]["runbook"].endswith(f"runbook.md#{rule['alert'].lower()}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
