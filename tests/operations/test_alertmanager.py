"""Alertmanager's configurations: every rule has its route, none about money is inhibited."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from sep_ops.alert import NAME
from sep_testing.alertmanager import FakeAlertmanager, serving

from tests.operations.documents import commands_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "alertmanager"
FILES = sorted(FOLDER.glob("*.yaml"))
PAGE = ROOT / "docs" / "operations" / "alerts.md"
RULES: list[dict[str, Any]] = [
    rule
    for rule in yaml.safe_load(
        (ROOT / "deploy" / "prometheus" / "sep-rolling.rules.yaml").read_text()
    )["groups"][0]["rules"]
    if "alert" in rule
]
RECEIVERS = {"page": "phone", "ticket": "tickets", "none": "watchdog"}
ALWAYS_SENT = {
    *("SepBreakerTripped", "SepSecondWriter", "SepStopMissing", "SepOrderUnknown"),
    *("SepMarginAboveCeiling", "SepMarginMismatch", "SepUnitsOutsideSession", "SepServiceAway"),
    *("SepBrokerAccessDenied", "SepAccountUnsupported", "SepEqualRejects", "SepRiskHeadroomLow"),
    *("SepSpanIntegrityBroken", "SepNotificationsUndelivered", "SepWatchdog", NAME),
}
_MATCHER = re.compile(r'(\w+)(=~?)"([^"]*)"')


def amtool() -> str | None:
    """Its path, if it knows every member that the files use: chat_id_file came with 0.31."""
    path = shutil.which("amtool")
    if path is None:
        return None
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout + done.stderr)
    return path if found and (int(found[1]), int(found[2])) >= (0, 31) else None


AMTOOL = amtool()
needs_amtool = pytest.mark.skipif(
    AMTOOL is None,
    reason="ALERTMANAGER'S FILES NOT CHECKED BY ITSELF: amtool 0.31 or newer is not installed",
)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("alertmanager_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def matches(matchers: list[str], labels: Mapping[str, str]) -> bool:
    parts = [_MATCHER.fullmatch(matcher) for matcher in matchers]
    assert all(parts), matchers
    return all(
        re.fullmatch(part[3] if part[2] == "=~" else re.escape(part[3]), labels.get(part[1], ""))
        for part in parts
        if part is not None
    )


def route_of(labels: Mapping[str, str], route: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that Alertmanager applies: of the deepest first match, with what it inherits."""
    own = {key: value for key, value in route.items() if key not in {"routes", "matchers"}}
    for child in route.get("routes", []):
        if matches(child["matchers"], labels):
            return own | route_of(labels, child)
    return own


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(request.param.read_text())
    return loaded


def test_there_is_a_configuration_for_each_way_to_a_phone() -> None:
    assert {path.stem for path in FILES} == {"alertmanager", "mail", "ntfy", "telegram"}
    made = generator().documents()
    assert {path.name: path.read_text() for path in FILES} == made


def test_every_rule_goes_where_its_severity_says(config: dict[str, Any]) -> None:
    for rule in RULES:
        labels = {"alertname": rule["alert"], **rule["labels"]}
        receiver = route_of(labels, config["route"])["receiver"]
        assert receiver == RECEIVERS[rule["labels"]["severity"]], rule["alert"]
    assert {rule["alert"] for rule in RULES if rule["labels"]["severity"] == "none"} == {
        generator().WATCHDOG
    }


def test_an_alert_that_fits_no_route_reaches_the_phone(config: dict[str, Any]) -> None:
    assert route_of({"alertname": "Mine"}, config["route"])["receiver"] == "phone"


def test_a_test_alert_takes_the_route_of_its_severity_and_waits_for_nothing(
    config: dict[str, Any],
) -> None:
    for severity in ("page", "ticket"):
        route = route_of({"alertname": NAME, "severity": severity}, config["route"])
        assert route["receiver"] == RECEIVERS[severity]
        assert (route["group_wait"], route["group_by"]) == ("0s", ["..."])


def test_the_watchdog_calls_every_minute_and_never_says_resolved(config: dict[str, Any]) -> None:
    route = route_of({"alertname": "SepWatchdog", "severity": "none"}, config["route"])
    assert (route["group_interval"], route["repeat_interval"]) == ("1m", "50s")
    (receiver,) = (r for r in config["receivers"] if r["name"] == "watchdog")
    for ping in receiver.get("webhook_configs", []):
        assert ping["send_resolved"] is False


def test_every_receiver_of_a_route_exists_and_is_used(config: dict[str, Any]) -> None:
    routes = [config["route"], *config["route"]["routes"]]
    used = {route["receiver"] for route in routes}
    assert used == {receiver["name"] for receiver in config["receivers"]}


def test_no_inhibition_hides_an_alert_about_money(config: dict[str, Any]) -> None:
    known = {rule["alert"] for rule in RULES}
    for rule in config["inhibit_rules"]:
        (target,) = rule["target_matchers"]
        hidden = {name for name in known | {NAME} if matches([target], {"alertname": name})}
        assert hidden
        assert not hidden & ALWAYS_SENT, rule
        cause = _MATCHER.fullmatch(rule["source_matchers"][0])
        assert cause is not None
        assert cause[3] in known - hidden


def secret_files(value: Any) -> set[str]:
    """The base names of every file that a configuration reads, at any depth."""
    if isinstance(value, dict):
        own = {Path(v).name for k, v in value.items() if k.endswith("_file")}
        return own.union(*map(secret_files, value.values()))
    return set().union(*map(secret_files, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_secret_is_a_file_that_head_and_page_name(path: Path) -> None:
    text = path.read_text()
    needed = secret_files(yaml.safe_load(text)["receivers"])
    (listed,) = re.findall(r"^# Secret files: (.*)\.$", text, re.M)
    assert needed == set(listed.split(", ")) - {"none"}
    assert all(name in PAGE.read_text() for name in needed)
    assert not re.search(r"(token|password|url|chat_id): ", text)


def test_the_folder_of_secrets_is_not_committed() -> None:
    done = subprocess.run(
        ["git", "check-ignore", FOLDER / "secrets" / "telegram_bot_token"],
        cwd=ROOT, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 128}, "a secret could be committed"  # 128: not a repository


def test_prometheus_sends_to_the_container_of_the_same_profile() -> None:
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    (sink,) = prometheus["alerting"]["alertmanagers"]
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    assert sink == {"static_configs": [{"targets": ["alertmanager:9093"]}]}
    assert services["alertmanager"]["profiles"] == services["prometheus"]["profiles"]
    mounts = " ".join(services["alertmanager"]["volumes"])
    assert generator().SECRETS in mounts
    assert all(volume.endswith(":ro") for volume in services["alertmanager"]["volumes"][:2])


def test_the_commands_of_the_page_run_as_written(tmp_path: Path) -> None:
    commands = [c for c in commands_of(PAGE) if c.kind == "alerts"]
    with serving(FakeAlertmanager()) as alertmanager:
        for command in commands:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command.text],
                cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
                env={**os.environ, "HOME": str(tmp_path), "ALERTMANAGER_URL": alertmanager.url},
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    assert [a["labels"]["severity"] for a in alertmanager.alerts] == ["page", "ticket"]
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "sep/alerts").iterdir()}
    assert set(made.values()) == {0o644}
    needed = [yaml.safe_load((FOLDER / f"{n}.yaml").read_text()) for n in ("ntfy", "telegram")]
    assert set(made) == set().union(*(secret_files(c["receivers"]) for c in needed))
    assert (tmp_path / "sep").stat().st_mode & 0o777 == 0o700


@needs_amtool
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_alertmanager_itself_accepts_the_file_and_routes_as_we_do(path: Path) -> None:
    assert AMTOOL is not None
    subprocess.run([AMTOOL, "check-config", path], check=True, capture_output=True, timeout=60)
    for rule in RULES:
        labels = {"alertname": rule["alert"], "severity": rule["labels"]["severity"]}
        done = subprocess.run(
            [
                *(AMTOOL, "config", "routes", "test", f"--config.file={path}"),
                *(f"{name}={value}" for name, value in labels.items()),
            ],
            check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.stdout.strip() == RECEIVERS[labels["severity"]]
