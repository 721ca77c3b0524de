"""The shell scripts: lint, dry run, and exit code 2 for wrong calls."""

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import needs

ROOT = Path(__file__).parents[2]
SCRIPTS = [
    ROOT / "deploy.sh",
    ROOT / "bin" / "drain_overcap_only.sh",
    ROOT / "bin" / "flatten_all.sh",
    ROOT / ".ci" / "run",
]


def run(*command: str | Path, **env: str) -> tuple[int, str]:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout


@needs("shellcheck", "SHELL SCRIPTS NOT CHECKED")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    code, output = run("shellcheck", script)
    assert code == 0, output


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_a_script_is_strict_and_executable(script: Path) -> None:
    assert "set -euo pipefail" in script.read_text()
    assert script.stat().st_mode & 0o111


def test_deploy_help_lists_its_options() -> None:
    code, output = run("./deploy.sh", "--help")
    assert code == 0
    for option in ("--profile", "--env-file", "--token-file", "--dry-run", "--no-build", "--days"):
        assert option in output


def test_a_dry_run_prints_every_step_in_order_and_changes_nothing() -> None:
    code, output = run("./deploy.sh", "--dry-run")
    assert code == 0, output
    steps = (
        *("building images", "starting with entries forbidden", "warming up"),
        *("engaging the kill switch", "restarting with the live configuration", "verifying"),
    )
    places = [output.index(step) for step in steps]
    assert places == sorted(places)
    assert output.rstrip().endswith("dry run: nothing was changed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--profile", "live"), "needs --env-file"),
        (("--profile", "demo"), "paper, practice or live"),
        (("--env-file", "/nonexistent"), "can't read the env file"),
        (("--wait", "soon"), "--wait is a number of seconds"),
        (("--days", "-1"), "--days is a number of days"),
        (("--days",), "needs a value"),
        (("--now",), "unknown option --now"),
        (
            (
                "--profile",
                "live",
                "--env-file",
                "deploy/demo.env",
                "--token-file",
                "deploy/paper_token",
            ),
            "OANDA_ENVIRONMENT in deploy/demo.env is paper",
        ),
    ],
)
def test_a_wrong_deploy_is_refused_before_anything_is_changed(
    arguments: tuple[str, ...], message: str
) -> None:
    code, output = run("./deploy.sh", "--dry-run", *arguments)
    assert code == 2, output
    assert message in output


FOREIGN_IMAGES = ("PYTHON_IMAGE", "VALKEY_IMAGE", "ENVOY_IMAGE")


@pytest.mark.parametrize("image", ["", "vendor/image:1", f"vendor/image@sha256:{'0' * 63}"])
@pytest.mark.parametrize("unpinned", FOREIGN_IMAGES)
def test_a_live_deploy_without_an_image_digest_is_refused(
    tmp_path: Path, unpinned: str, image: str
) -> None:
    """Before anything is changed, with the variable's name and where to read on."""
    code, output = live_dry_run(tmp_path, **{**PINNED, unpinned: image})
    assert code == 2, output
    assert f"{unpinned} must name an image with its digest" in output
    assert "docs/operations/reference.md" in output


def test_a_live_deploy_that_observes_needs_those_digests_too(tmp_path: Path) -> None:
    code, output = live_dry_run(tmp_path, "--observe", **PINNED)
    assert code == 2, output
    assert "PROMETHEUS_IMAGE must name an image with its digest" in output


def test_a_live_deploy_with_postgres_needs_its_digest_too(tmp_path: Path) -> None:
    code, output = live_dry_run(tmp_path, COMPOSE_PROFILES="postgres", **PINNED)
    assert code == 2, output
    assert "POSTGRES_IMAGE must name an image with its digest" in output


def test_every_image_of_others_can_be_given_with_a_digest() -> None:
    """A variable of its own in compose.yaml, which deploy.sh demands for live."""
    names = set(re.findall(r"\$\{(\w+_IMAGE):-", (ROOT / "compose.yaml").read_text()))
    assert names >= {"PYTHON_IMAGE", "POSTGRES_IMAGE", "GRAFANA_IMAGE"}
    script = (ROOT / "deploy.sh").read_text().partition("if [[ $profile == live ]]")[2]
    assert names <= set(re.findall(r"\w+_IMAGE", script.partition("\nfi\n")[0]))


def test_a_live_deploy_with_all_digests_is_not_refused_for_its_images(tmp_path: Path) -> None:
    code, output = live_dry_run(tmp_path, **PINNED)
    assert code == 0, output
    assert output.rstrip().endswith("dry run: nothing was changed")


PINNED = {name: f"vendor/{name.lower()}:1@sha256:{'0' * 64}" for name in FOREIGN_IMAGES}


def live_dry_run(folder: Path, *options: str, **env: str) -> tuple[int, str]:
    settings = folder / "live.env"
    settings.write_text(
        "OANDA_ENVIRONMENT=live\nOANDA_ACCOUNT_ID=001-001-0000001-001\nLIVE_TRADING_ENABLED=1\n"
    )
    token = folder / "token"
    token.write_text("token")
    command = ("--dry-run", "--profile", "live", "--env-file", settings, "--token-file", token)
    return run(ROOT / "deploy.sh", *command, *options, SEP_PYTHON=sys.executable, **env)


def test_a_second_deploy_at_the_same_time_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output = run("./deploy.sh", SEP_DEPLOY_DIR=str(tmp_path))
    assert (code, "another deploy runs" in output) == (2, True), output


def test_a_deploy_refuses_settings_at_odds_before_anything_is_changed(tmp_path: Path) -> None:
    """Every fault with its values, in a dry run as well."""
    own = tmp_path / "own.env"
    own.write_text("OANDA_ENVIRONMENT=practice\nOANDA_ACCOUNT_ID=001-001-0000001-001\nPM_XYZ=1\n")
    token = tmp_path / "token"
    token.write_text("token")
    code, output = run(
        ROOT / "deploy.sh", "--dry-run", "--profile", "practice",
        "--env-file", own, "--token-file", token,
        SEP_PYTHON=sys.executable, ALLOC_TOP_K="not the containers'",
    )  # fmt: skip
    assert code == 2, output
    assert "OANDA_ENVIRONMENT=practice, OANDA_ACCOUNT_ID=001-001-0000001-001" in output
    assert "PM_XYZ: is not a setting" in output
    assert "ALLOC_TOP_K" not in output
    own.write_text("OANDA_ENVIRONMENT=practice\nOANDA_ACCOUNT_ID=101-001-0000001-001\n")
    command = ("--dry-run", "--profile", "practice", "--env-file", own, "--token-file", token)
    code, output = run(ROOT / "deploy.sh", *command, SEP_PYTHON=sys.executable)
    assert "have faults" not in output
