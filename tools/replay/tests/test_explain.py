"""Decisions of a replay are explained as those of the guard: shown, and made again."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from sep.guard.v1 import guard_pb2 as pb
from sep.guard.v1 import guard_pb2_grpc
from sep_guard.app import build
from sep_guard.cli import main as guard_main
from sep_guard.settings import GuardSettings
from sep_kit.settings.loading import load_settings
from sep_replay.cli import main
from sep_testing.calls import call
from sep_testing.services import running_service
from sep_testing.valkey import ValkeyServer

from .test_replay import ALWAYS, of, rising, write


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a market that rises, with entries, refusals and exits."""
    folder = tmp_path_factory.mktemp("run")
    candles = write(folder, rising(300))
    assert main([str(candles), *ALWAYS, "--open-gates", "--out", str(folder / "out")]) == 0
    return folder / "out"


def records_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "decisions.jsonl").read_text().splitlines()]


def test_each_decision_of_the_log_has_its_record(run: Path) -> None:
    events = json.loads((run / "events.json").read_text())["events"]
    decisions = [(e["id"], e["kind"]) for e in of(events, "decision")]
    assert [(r["id"], r["kind"]) for r in records_of(run)] == decisions
    assert {"ENTRY", "REFUSAL"} <= {kind for _, kind in decisions}


async def test_the_guard_makes_each_decision_of_a_replay_again(
    run: Path, shared_valkey: ValkeyServer
) -> None:
    """By the call that the journal answers `GET /api/decisions/{id}` with."""
    environ = {
        "GRPC_LISTEN": "127.0.0.1:0", "VALKEY_URL": shared_valkey.url, "MARKET_CALENDAR": "24x7",
    }  # fmt: skip
    settings = load_settings(GuardSettings, environ)
    async with (
        running_service("guard", settings, build) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub: Any = guard_pb2_grpc.GuardServiceStub(channel)
        for line in (run / "decisions.jsonl").read_text().splitlines():
            request = pb.RemakeDecisionRequest(record=line)
            found = await call(stub.RemakeDecision, request, peer="guard")
            assert found.same, (line, found)
            assert not found.differences


@pytest.mark.parametrize("kind", ["ENTRY", "REFUSAL"])
def test_a_decision_of_a_replay_is_shown_and_reproduced(run: Path, kind: str, capsys: Any) -> None:
    record = next(r for r in records_of(run) if r["kind"] == kind)
    file = str(run / "decisions.jsonl")
    assert guard_main(["explain", record["id"], "--records", file]) == 0
    shown = capsys.readouterr().out
    assert f"{kind} of EUR_USD" in shown
    assert "the decision is the same" in shown
    for reason in record["reasons"]:
        assert reason in shown


def test_a_changed_record_of_a_replay_is_reported(run: Path, tmp_path: Path, capsys: Any) -> None:
    record = next(r for r in records_of(run) if r["kind"] == "ENTRY")
    record["controls"]["kill_switch"] = True
    changed = tmp_path / "changed.jsonl"
    changed.write_text(json.dumps(record, separators=(",", ":")) + "\n")
    assert guard_main(["explain", record["id"], "--records", str(changed)]) == 3
    assert "DIFFERS" in capsys.readouterr().out


def test_an_unknown_id_and_a_missing_file_have_exit_codes_of_their_own(
    run: Path, capsys: Any
) -> None:
    file = str(run / "decisions.jsonl")
    assert guard_main(["explain", "00000000:EUR_USD", "--records", file]) == 1
    assert f"00000000:EUR_USD is not in {file}" in capsys.readouterr().err
    assert guard_main(["explain", "x", "--records", str(run / "none")]) == 4
