"""compose.yaml as shipped: names, hardening, health checks, dependencies, ports, secrets."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
NAMES = {
    *("sep-valkey", "sep-envoy", "sep-gateway", "sep-evaluator", "sep-allocator", "sep-guard"),
    *("sep-paper-broker", "sep-prometheus", "sep-grafana"),
}


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
    for name in ("gateway", "evaluator", "allocator", "guard"):
        needed = SERVICES[name]["depends_on"]
        assert needed["valkey"]["condition"] == "service_healthy"
    for name in ("evaluator", "allocator", "guard"):
        assert SERVICES[name]["depends_on"]["gateway"]["condition"] == "service_healthy"


def test_only_loopback_is_published() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${HTTP_BIND:-127.0.0.1}:")), name


def test_the_token_is_a_file_for_two_and_an_environment_variable_for_none() -> None:
    for name, service in SERVICES.items():
        holds = service.get("secrets", []) == ["oanda_api_token"]
        assert holds == (name in {"gateway", "paper-broker"})
        if "env_file" in service:
            assert service["environment"]["OANDA_API_TOKEN"] is None


def test_profiles_choose_the_broker_and_the_telemetry() -> None:
    profiles = {name: s["profiles"] for name, s in SERVICES.items() if "profiles" in s}
    assert profiles == {
        "paper-broker": ["paper"],
        "prometheus": ["observe"],
        "grafana": ["observe"],
    }


def test_the_state_is_append_only_and_on_a_volume() -> None:
    valkey = SERVICES["valkey"]
    assert valkey["volumes"] == ["valkey:/data"]
    assert valkey["command"][1:3] == ["--appendonly", "yes"]


def test_compose_itself_accepts_the_file_with_every_profile() -> None:
    binary = Path(sys.executable).with_name("docker-compose")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COMPOSE_", "OANDA_"))}
    done = subprocess.run(
        [binary, "--profile", "*", "config"],
        cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    services = yaml.safe_load(done.stdout)["services"]
    assert {s["container_name"] for s in services.values()} == NAMES | {"sep-init"}
    # The token of the env file must not reach any container.
    for name, service in services.items():
        assert not service.get("environment", {}).get("OANDA_API_TOKEN"), name
