"""The service of systemd: the unit as systemd reads it, and an installation that can be undone."""

import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from sep_local import systemd
from sep_local.cli import main
from sep_local.systemd import Step, install_steps, uninstall_steps
from sep_local.systemd_command import carry_out

ROOT = Path(__file__).parents[2]
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="SYSTEMD'S UNIT NOT CHECKED: systemd-analyze is not installed",
)


def analyze(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit of this checkout, whose program is there."""
    path = tmp_path / systemd.UNIT_NAME
    path.write_text(systemd.unit(ROOT))
    return path


@needs_systemd
@pytest.mark.skipif(" " in str(ROOT), reason="A UNIT'S PATHS WITH SPACES ARE NOT SUPPORTED")
def test_systemd_finds_no_fault_in_the_unit(unit: Path) -> None:
    assert "sep.service:" not in analyze("verify", "--man=no", "--recursive-errors=no", unit)


@needs_systemd
def test_the_unit_is_hardened(unit: Path) -> None:
    analyze("security", "--offline=true", "--threshold=25", unit)


def test_the_unit_restarts_and_its_stop_has_the_time_that_a_stack_needs(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert {"Restart=on-failure", "KillMode=mixed", "TimeoutStopSec=30s", "User=sep"} <= set(lines)


class Installed:
    """An installation below a folder; commands are recorded, not run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[tuple[str, ...]] = []

    def run(self, words: Sequence[str]) -> None:
        self.commands.append(tuple(words))
        if words[0] == "install":
            Path(words[-1]).mkdir(parents=True, exist_ok=True)

    def carry_out(self, steps: Sequence[Step]) -> None:
        for step in steps:
            # The group of the service does not exist on this machine.
            carry_out(Step(**{**vars(step), "group": ""}), self.run)

    def install(self, settings: str) -> None:
        self.carry_out(list(install_steps(Path("/opt/sep"), settings, self.root, has_user=False)))

    def files(self) -> set[str]:
        return {str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()}


UNIT_FILES = {"etc/systemd/system/sep.service", "etc/systemd/journald@sep.conf"}


def test_an_installation_can_be_undone_and_leaves_settings(tmp_path: Path) -> None:
    machine = Installed(tmp_path)
    machine.install("KILL_SWITCH=1\n")
    assert machine.files() == {*UNIT_FILES, "etc/sep/sep.env"}
    assert [words[0] for words in machine.commands] == [
        *("useradd", "install", "install", "systemctl", "systemctl")
    ]
    assert machine.commands[-1] == ("systemctl", "enable", "sep.service")
    machine.carry_out(list(uninstall_steps(tmp_path)))
    assert machine.files() == {"etc/sep/sep.env"}
    assert ("systemctl", "disable", "--now", "sep.service") in machine.commands


def test_a_second_installation_leaves_settings_as_they_are(tmp_path: Path) -> None:
    machine = Installed(tmp_path)
    machine.install("KILL_SWITCH=1\n")
    settings = tmp_path / "etc/sep/sep.env"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o640
    settings.write_text("KILL_SWITCH=0\n")
    (tmp_path / "etc/systemd/system/sep.service").write_text("old")
    machine.install("KILL_SWITCH=1\n")
    assert settings.read_text() == "KILL_SWITCH=0\n"
    assert "[Service]" in (tmp_path / "etc/systemd/system/sep.service").read_text()


def test_taking_away_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    machine = Installed(tmp_path)
    machine.carry_out(list(uninstall_steps(tmp_path)))
    assert machine.files() == set()


@pytest.mark.parametrize("name", ["install", "uninstall"])
def test_a_dry_run_prints_each_step_and_changes_nothing(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--env-file", str(ROOT / "deploy/practice.env")] if name == "install" else []
    assert main([name, "--dry-run", "--root", str(tmp_path), *options]) == 0
    output = capsys.readouterr().out
    for path in UNIT_FILES:
        assert str(tmp_path / path) in output
    assert "systemctl daemon-reload" in output
    assert list(tmp_path.iterdir()) == []


def test_without_root_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["uninstall", "--root", str(tmp_path)]) == 1
    assert "needs root" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_broken_env_file_is_refused_before_anything_is_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file = tmp_path / "my.env"
    env_file.write_text("no name\n")
    root = tmp_path / "root"
    assert main(["install", "--root", str(root), "--env-file", str(env_file)]) == 1
    assert "line 1" in capsys.readouterr().err
    assert not root.exists()


def test_the_committed_unit_is_the_generated_one() -> None:
    folder = ROOT / "deploy" / "systemd"
    assert (folder / "sep.service").read_text() == systemd.unit(Path("/opt/sep"))
    assert (folder / "journald@sep.conf").read_text() == systemd.JOURNAL
