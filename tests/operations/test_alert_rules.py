"""Each alert fires in its own scenario, and stops firing when the market closes."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.programs import needs

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
TESTS = PROMETHEUS / "tests"

needs_promtool = needs("promtool", "ALERT RULES NOT TESTED")


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_rules_and_configuration_are_valid() -> None:
    promtool("check", "rules", str(PROMETHEUS / "sep-rolling.rules.yaml"))
    # The syntax only: the key file exists in the container.
    promtool("check", "config", "--syntax-only", str(PROMETHEUS / "prometheus.yaml"))


@needs_promtool
@pytest.mark.parametrize("name", ["minutes.test.yaml", "days.test.yaml"])
def test_alerts_fire_in_their_scenario_and_in_no_other(name: str) -> None:
    promtool("test", "rules", name)


def test_scenario_files_match_their_generator(tmp_path: Path) -> None:
    copy = tmp_path / "make.py"
    copy.write_text((TESTS / "make.py").read_text())
    subprocess.run([sys.executable, copy], check=True, timeout=60)
    for made in tmp_path.glob("*.yaml"):
        assert made.read_text() == (TESTS / made.name).read_text(), f"run {TESTS / 'make.py'}"


def test_every_alert_has_a_scenario_in_which_it_fires() -> None:
    (group,) = yaml.safe_load((PROMETHEUS / "sep-rolling.rules.yaml").read_text())["groups"]
    assert group["name"] == "sep-rolling"
    fired = {
        case["alertname"]
        for name in TESTS.glob("*.yaml")
        for test in yaml.safe_load(name.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in group["rules"] if "alert" in rule}
