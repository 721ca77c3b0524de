"""``sep-stack envoy-config``."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from sep_edge.envoy.config import bootstrap
from sep_edge.envoy.filters import Json
from sep_edge.envoy.rate_limit import RATE_LIMIT
from sep_edge.envoy.settings import MAX_CONNECTIONS
from sep_local.binaries import envoy_binary
from sep_local.cli import main
from sep_local.parts import edge_settings
from sep_local.settings import read_settings

ROOT = Path(__file__).parents[3]


async def test_configuration_for_containers_is_accepted_by_envoy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With host names, all interfaces, and the descriptor set beside it."""
    monkeypatch.setenv("HTTP_BIND", "0.0.0.0")
    for name in ("gateway", "evaluator", "allocator", "guard", "journal"):
        monkeypatch.setenv(f"{name.upper()}_ADDR", f"{name}:15051")
    config = tmp_path / "new" / "envoy.json"
    assert main(["envoy-config", "--out", str(config)]) == 0
    assert str(config.with_name("contract.binpb")) in config.read_text()
    arguments = ("--mode", "validate", "-l", "error", "-c", str(config))
    process = await asyncio.create_subprocess_exec(envoy_binary(), *arguments)
    assert await process.wait() == 0


def test_containers_have_the_clusters_and_limits_of_the_local_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From what compose.yaml gives the container that writes Envoy's configuration."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name, value in compose["init"]["environment"].items():
        monkeypatch.setenv(name, str(value))
    config = tmp_path / "envoy.json"
    assert main(["envoy-config", "--out", str(config)]) == 0
    containers = json.loads(config.read_text())
    settings = edge_settings(read_settings({"SEP_RUN_DIR": str(tmp_path)}))
    # A user who may open fewer files has fewer connections.
    local = bootstrap(replace(settings, max_connections=MAX_CONNECTIONS))
    assert limits_of(containers) == limits_of(local)
    (heap, *_) = containers["overload_manager"]["resource_monitors"]
    memory = int(compose["envoy"]["mem_limit"].removesuffix("m")) * 2**20
    assert heap["typed_config"]["max_heap_size_bytes"] < 0.7 * memory


def limits_of(config: Json) -> Json:
    """What a configuration allows: everything but addresses, pages and names of hosts."""
    resources = config["static_resources"]
    return {
        "overload": config["overload_manager"],
        "clusters": {
            cluster["name"]: {
                part: cluster.get(part)
                for part in (
                    "circuit_breakers",
                    "health_checks",
                    "connect_timeout",
                    "per_connection_buffer_limit_bytes",
                    "typed_extension_protocol_options",
                )
            }
            for cluster in resources["clusters"]
        },
        "listeners": {listener["name"]: _limits(listener) for listener in resources["listeners"]},
    }


def _limits(listener: Json) -> Json:
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    parts = (
        "per_connection_buffer_limit_bytes",
        "tcp_backlog_size",
        "ignore_global_conn_limit",
        "bypass_overload_manager",
    )
    return {
        **{part: listener.get(part) for part in parts},
        **{name: value for name, value in manager.items() if name.endswith("timeout")},
        "http": manager.get("common_http_protocol_options"),
        "http2": manager.get("http2_protocol_options"),
        "headers": manager.get("max_request_headers_kb"),
        "filters": [found["name"] for found in manager["http_filters"]],
        "routes": [
            (
                {name: value for name, value in route["match"].items() if name != "headers"},
                route.get("route"),
                route.get("typed_per_filter_config", {}).get(RATE_LIMIT),
            )
            for route in host["routes"]
            if "route" in route
        ],
    }


def test_malformed_address_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GUARD_ADDR", "guard")
    assert main(["envoy-config", "--out", str(tmp_path / "envoy.json")]) == 1
    assert "GUARD_ADDR: 'guard' is not host:port" in capsys.readouterr().err
