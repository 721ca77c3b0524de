"""Envoy's files are written by a process of their own, and its faults are the operator's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sep_local.edge_files import write_edge_files
from sep_local.errors import StackError
from sep_local.parts import edge_settings
from sep_local.settings import read_settings


def test_the_files_are_there_afterwards(tmp_path: Path) -> None:
    edge = edge_settings(read_settings({"SEP_RUN_DIR": str(tmp_path)}))
    config, pages = tmp_path / "envoy.json", tmp_path / "pages"
    write_edge_files(edge, config, pages, None)
    assert "static_resources" in json.loads(config.read_text())
    assert {path.name for path in pages.iterdir()} >= {"openapi.json", "docs.html", "index.html"}


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    edge = edge_settings(read_settings({"SEP_RUN_DIR": str(tmp_path)}))
    config = tmp_path / "none" / "envoy.json"
    with pytest.raises(StackError, match=r"files can't be written:\n.*none/envoy\.json"):
        write_edge_files(edge, config, tmp_path / "pages", None)


def test_the_supervisor_holds_neither_the_contract_nor_the_settings_models() -> None:
    """They are two thirds of what it would take, for as long as the stack runs."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sep_local.cli, sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "sep_local.supervisor" in loaded
    assert not {"pydantic", "google.protobuf.message", "grpc", "sep_contract"} & set(loaded)
