"""Every command in the operations pages runs exactly as written."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.operations.documents import PAGES, ROOT, all_commands, sections
from tests.operations.operator_shell import OperatorShell
from tests.programs import needs_curl

# test_backup_page.py runs the last two.
KINDS = {"", "alerts", "deploy", "docker", "dry", "end", "local", "setup", "cron", "state"}
RUNS_DOCKER = {"docker", "end"}
# How commands begin. `make run` is allowed in prose: it names a way to start the stack.
PROGRAMS = ("./", "bin/", "scripts/", ".venv/", "curl ", "docker ", "kubectl ", "make ")
RULES = ROOT / "deploy" / "prometheus" / "sep-rolling.rules.yaml"


SECTIONS = sections({"", "dry", "local"})


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "section",
    [pytest.param(s, marks=needs_curl(*(c.text for c in SECTIONS[s]))) for s in SECTIONS],
)
def test_the_commands_of_a_section_run_as_written(shell: OperatorShell, section: str) -> None:
    for command in SECTIONS[section]:
        arguments = ("bash", "-euo", "pipefail", "-c", command.text)
        code, output = shell.run(*arguments)
        if code:  # a machine that stalls may make a part late
            code, output = shell.run(*arguments)
        assert code == 0, f"{command}: {command.text}\n{output}"


def test_every_block_has_a_kind_that_some_test_runs() -> None:
    assert {c.kind for c in all_commands()} <= KINDS
    assert any(c.kind == "docker" for c in all_commands())
    for command in all_commands():
        assert ("docker" in command.text) == (command.kind in RUNS_DOCKER), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_holds_no_command_that_no_test_would_run(page: Path) -> None:
    prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
    commands = {s for s in spans if s.startswith(PROGRAMS) and " " in s}
    assert commands <= {"make run", "make sbom", "make audit"}


@pytest.mark.timeout(300)
def test_deploy_accepts_the_options_and_settings_of_the_pages(shell: OperatorShell) -> None:
    """In dry runs, with a token and an account as the README exports them.

    The container tests deploy the paper profile for real.
    """
    # The drain among the commands refuses to run while entries may pass.
    shell.set_kill_switch(engaged=True)
    page = (ROOT / "README.md").read_text()
    block = page.partition("## In containers")[2].partition("```sh\n")[2].partition("```")[0]
    blocks = [block, *(c.text for c in all_commands() if c.kind == "deploy")]
    lines = [line for block in blocks for line in block.splitlines() if line]
    commands = [line.partition("#")[0].strip() for line in lines]
    assert [c.split()[0] for c in commands].count("./deploy.sh") == 5
    (shell.folder / "token.txt").write_text("not-a-token")
    for command in commands:
        dry = command if "--dry-run" in command else f"{command} --dry-run"
        exports = "export OANDA_API_TOKEN=not-a-token OANDA_ACCOUNT_ID=101-004-1234567-001"
        code, output = shell.run("bash", "-euo", "pipefail", "-c", f"{exports}\n{dry}")
        assert code == 0, f"{command}\n{output}"


def test_setup_blocks_export_what_the_scripts_read() -> None:
    setup = setup_command()
    assert set(re.findall(r"export (\w+)=", setup)) == {"SEP_URL", "SEP_KEY_FILE"}


@pytest.mark.parametrize("key", [".run/keys/write", ".run/deploy/write_key"])
def test_the_setup_finds_the_key_of_make_run_and_of_deploy(tmp_path: Path, key: str) -> None:
    (tmp_path / key).parent.mkdir(parents=True)
    (tmp_path / key).write_text("k" * 32)
    script = f'{setup_command()}\necho "$SEP_URL $SEP_KEY_FILE"'
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"http://127.0.0.1:8000 {key}\n"


def setup_command() -> str:
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
def test_links_point_to_existing_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


CHAPTERS = (
    *("Size", "Install", "Practice", "First week", "Alerts", "Daily"),
    *("Upgrade", "Backup", "Incident", "Move", "Retire"),
)


def test_the_handbook_follows_the_life_of_a_stack() -> None:
    page = (ROOT / "docs/operations/handbook.md").read_text()
    heads = re.findall(r"^## (.+)$", page, re.M)
    assert tuple(heads) == CHAPTERS
    for chapter in re.split(r"^## ", page, flags=re.M)[1:]:
        assert re.search(r"\]\([^)]+\.md", chapter), f"no page has the steps of {chapter[:20]!r}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_point_to_existing_sections(page: Path) -> None:
    for target, section in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        linked = page.parent / target if target else page
        text = re.sub(r"^```.*?^```", "", linked.read_text(), flags=re.M | re.S)
        headings = re.findall(r"^#+ (.+)$", text, re.M)
        assert section in {_anchor(heading) for heading in headings}, f"{target}#{section}"


def _anchor(heading: str) -> str:
    """The address of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def decision_records() -> list[Path]:
    return sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("record", decision_records(), ids=lambda record: record.name[:4])
def test_a_decision_record_has_its_status_its_date_and_its_row_in_the_index(record: Path) -> None:
    lines = record.read_text().splitlines()
    heading = re.fullmatch(r"# (\d+)\. (.+)", lines[0])
    status = re.fullmatch(r"Status: (accepted|proposed|superseded by .+)", lines[2])
    date = re.fullmatch(r"Date: (20\d\d-\d\d-\d\d)", lines[3])
    assert heading is not None, lines[:4]
    assert status is not None, lines[:4]
    assert date is not None, lines[:4]
    assert int(heading[1]) == int(record.name[:4])
    row = f"| [{heading[1]}]({record.name}) | {heading[2]} | {status[1]} | {date[1]} |"
    assert row in (record.parent / "README.md").read_text().splitlines()


def test_links_of_the_decision_records_point_to_existing_files() -> None:
    for page in (ROOT / "docs" / "adr").glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), (page.name, target)
