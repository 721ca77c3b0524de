"""compose.yaml as shipped: names, hardening, health checks, dependencies, ports, secrets."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sep_local.scrape_key import NAME as SCRAPE_KEY

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
NAMES = {
    *("sep-valkey", "sep-envoy", "sep-gateway", "sep-evaluator", "sep-allocator", "sep-guard"),
    *("sep-journal", "sep-postgres", "sep-paper-broker", "sep-prometheus", "sep-grafana"),
    "sep-alertmanager",
}

BROKER_SIDE = {"gateway", "paper-broker"}
OURS = {*BROKER_SIDE, "evaluator", "allocator", "guard", "journal", "init"}


def test_containers_have_the_names_that_operators_know() -> None:
    assert {s["container_name"] for s in SERVICES.values()} == NAMES | {"sep-init"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_hardened_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]
    built_here = "build" in service
    assert built_here or not service["user"].startswith(("0", "root"))
    assert not service.get("privileged")


def test_our_images_run_as_a_numeric_user() -> None:
    users = re.findall(r"^USER (.+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert users == ["10001:10001"]


def test_the_standard_library_is_compiled_in_the_image() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    assert "compileall" in recipe.partition("RUN useradd")[0]


@pytest.mark.parametrize("name", [n for n in SERVICES if n != "init"])
def test_a_health_check_measures_something(name: str) -> None:
    test = SERVICES[name]["healthcheck"]["test"]
    if "build" in SERVICES[name] and name != "paper-broker":
        assert test == ["CMD", "python", "-m", "sep_kit.grpc.probe"]
    assert test[0] == "CMD"
    assert test[1] not in {"true", "pgrep", "ls"}


def test_services_start_after_their_dependencies_are_healthy() -> None:
    for name in ("gateway", "evaluator", "allocator", "guard", "journal"):
        needed = SERVICES[name]["depends_on"]
        assert needed["valkey"]["condition"] == "service_healthy"
    for name in ("evaluator", "allocator", "guard", "journal"):
        assert SERVICES[name]["depends_on"]["gateway"]["condition"] == "service_healthy"


def test_only_loopback_is_published() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${HTTP_BIND:-127.0.0.1}:")), name


def test_the_token_is_a_file_for_two() -> None:
    for name, service in SERVICES.items():
        holds = service.get("secrets", []) == ["oanda_api_token"]
        assert holds == (name in BROKER_SIDE), name


def test_profiles_choose_the_broker_and_the_telemetry() -> None:
    profiles = {name: s["profiles"] for name, s in SERVICES.items() if "profiles" in s}
    assert profiles == {
        "postgres": ["postgres"],
        "paper-broker": ["paper"],
        "prometheus": ["observe"],
        "alertmanager": ["observe"],
        "grafana": ["observe"],
    }


def test_the_state_is_append_only_and_on_a_volume() -> None:
    valkey = SERVICES["valkey"]
    assert valkey["volumes"] == ["valkey:/data"]
    assert valkey["command"][1:3] == ["--appendonly", "yes"]


def rendered(**exported: str) -> dict[str, Any]:
    """The services as Docker Compose would start them, with these variables exported."""
    binary = Path(sys.executable).with_name("docker-compose")
    prefixes = ("COMPOSE_", "OANDA_", "SEP_", "API_", "HTTP_")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}
    done = subprocess.run(
        [binary, "--profile", "*", "config"],
        cwd=ROOT, env=clean | exported, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services


def settings_of(services: dict[str, Any], name: str) -> dict[str, str]:
    """The names that each container which holds settings gets a value for, or an empty one."""
    return {
        service: environment[name] or ""
        for service, container in services.items()
        if (environment := container.get("environment", {})).get(name) is not None
    }


def test_compose_itself_accepts_the_file_with_every_profile() -> None:
    services = rendered()
    assert {s["container_name"] for s in services.values()} == NAMES | {"sep-init"}


def test_the_token_of_the_env_file_reaches_no_container() -> None:
    assert not any(settings_of(rendered(), "OANDA_API_TOKEN").values())


@pytest.mark.parametrize("env_file", ["demo", "practice"])
def test_an_exported_broker_reaches_the_containers_that_speak_to_it(env_file: str) -> None:
    services = rendered(
        SEP_ENV_FILE=f"deploy/{env_file}.env",
        OANDA_API_TOKEN="exported-token",
        OANDA_ACCOUNT_ID="101-004-1234567-001",
    )
    tokens = settings_of(services, "OANDA_API_TOKEN")
    assert {name for name, token in tokens.items() if token} == BROKER_SIDE
    assert "exported-token" not in str([s for n, s in services.items() if n not in BROKER_SIDE])
    accounts = settings_of(services, "OANDA_ACCOUNT_ID")
    assert accounts == dict.fromkeys(OURS, "101-004-1234567-001")


def test_the_urls_of_notifications_reach_the_journal_alone() -> None:
    for name in ("NOTIFY_URLS", "NOTIFY_HEARTBEAT_URL"):
        services = rendered(**{name: "json://token@example.com"})
        assert [s for s, url in settings_of(services, name).items() if url] == ["journal"]


def test_without_exported_variables_the_env_file_counts() -> None:
    services = rendered()
    assert settings_of(services, "OANDA_ACCOUNT_ID") == dict.fromkeys(OURS, "101-001-0000001-001")
    practice = rendered(SEP_ENV_FILE="deploy/practice.env")
    assert settings_of(practice, "OANDA_ACCOUNT_ID") == {}


@pytest.mark.parametrize("env_file", ["demo", "practice"])
def test_the_faults_of_the_paper_broker_are_off_and_its_port_is_not_published(
    env_file: str,
) -> None:
    """Whatever the shell exports: only an env file can turn them on."""
    services = rendered(SEP_ENV_FILE=f"deploy/{env_file}.env", PAPER_ADMIN="1")
    assert settings_of(services, "PAPER_ADMIN") == {}
    assert services["paper-broker"].get("ports", []) == []


def test_only_the_services_reach_valkey() -> None:
    services = rendered()
    on_store = {name for name, s in services.items() if "store" in (s.get("networks") or {})}
    assert on_store == {"valkey", "gateway", "evaluator", "allocator", "guard", "journal"}
    assert set(services["valkey"]["networks"]) == {"store"}
    assert yaml.safe_load((ROOT / "compose.yaml").read_text())["networks"]["store"]["internal"]


def test_prometheus_gets_a_key_that_reads_and_no_other() -> None:
    services = rendered()
    volumes = {
        name: {v["source"]: v["target"] for v in service.get("volumes", [])}
        for name, service in services.items()
    }
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    key = Path(job["authorization"]["credentials_file"])
    assert volumes["prometheus"]["scrape-key"] == str(key.parent)
    assert "scrape-key" in volumes["init"]
    assert "keys" not in volumes["prometheus"]
    assert key.name == SCRAPE_KEY
