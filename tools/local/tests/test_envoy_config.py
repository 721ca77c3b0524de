"""``sep-stack envoy-config``."""

import asyncio
from pathlib import Path

import pytest
from sep_local.binaries import envoy_binary
from sep_local.cli import main


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


def test_malformed_address_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GUARD_ADDR", "guard")
    assert main(["envoy-config", "--out", str(tmp_path / "envoy.json")]) == 1
    assert "GUARD_ADDR: 'guard' is not host:port" in capsys.readouterr().err
