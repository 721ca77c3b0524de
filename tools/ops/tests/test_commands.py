"""The commands against an HTTP server of the test's own: calls, output and exit codes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sep_ops import connection
from sep_ops.__main__ import COMMANDS
from sep_ops.connection import CallError, StackClient
from sep_ops.snapshot import ROUTES

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "scripts" / "ops"
KEY = "k" * 32
ENGAGED = {
    "kill_switch": True,
    "reason": "lunch",
    "actor": "alice",
    "ts_ms": 1.7e12,
    "durable": True,
}
CLOSE = {
    "instrument": "EUR_USD",
    "current_units": "150000",
    "close_units": "50000",
    "margin_freed": "1666.5",
    "reason": "OVER_INSTRUMENT_CAP",
    "order_state": "",
    "client_order_id": "",
    "order_reason": "",
}
PLAN = {
    "drain_id": "d1",
    "margin_used": "5000",
    "margin_cap": "3333.5",
    "excess": "1666.5",
    "closes": [CLOSE],
    "kill_switch": True,
    "ts_ms": 1.7e12,
}


def error(status: int, reason: str) -> tuple[int, object]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    return status, {"code": 9, "message": "not now", "details": details}


@dataclass
class FakeStack:
    """Answers each route with what it is given, in turn; the last answer is repeated."""

    url: str = ""
    answers: dict[str, list[tuple[int, object]]] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def will_answer(self, route: str, *answers: tuple[int, object]) -> None:
        self.answers[route] = list(answers)

    def answer(self, route: str) -> tuple[int, object]:
        answers = self.answers.get(route, [error(404, "UNKNOWN_ROUTE")])
        return answers[0] if len(answers) == 1 else answers.pop(0)


@pytest.fixture
def stack() -> Iterator[FakeStack]:
    fake = FakeStack()

    class Handler(BaseHTTPRequestHandler):
        def handle_call(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            fake.calls.append((self.command, self.path, json.loads(body) if body else None))
            fake.keys.add(self.headers.get("authorization", ""))
            status, answer = fake.answer(self.path.partition("?")[0])
            if status == 0:  # the connection breaks before the answer
                self.close_connection = True
                return
            text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = handle_call

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "write"
    path.write_text(f"{KEY}\n")
    return path


def run(*command: str | Path, stack: FakeStack, key_file: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, *command, "--url", stack.url, "--key-file", key_file],
        cwd=key_file.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.fixture
def client(stack: FakeStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[StackClient]:
    monkeypatch.setattr(connection, "_PAUSES_S", (0.0, 0.0))
    with StackClient(stack.url, KEY) as opened:
        yield opened


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_explains_itself_and_its_exit_codes(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sep_ops", name, "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert f"usage: sep-ops {name}" in done.stdout
    assert "Exits with 0" in " ".join(done.stdout.split())


def test_the_list_of_subcommands_names_every_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sep_ops", "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    for name in (*COMMANDS, "130", "3 ", "SEP_URL", "SEP_KEY_FILE"):
        assert name in done.stdout


def test_a_script_and_its_subcommand_do_the_same(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/kill-switch", (200, ENGAGED))
    arguments = ("engage", "--reason", "lunch")
    script = run(SCRIPTS / "kill_switch.py", *arguments, stack=stack, key_file=key_file)
    command = run("-m", "sep_ops", "kill-switch", *arguments, stack=stack, key_file=key_file)
    assert script == command == (0, "kill switch engaged by alice: lunch\n")
    call = ("POST", "/api/kill-switch", {"kill_switch": True, "reason": "lunch"})
    assert stack.calls == [call, call]
    assert stack.keys == {f"Bearer {KEY}"}


def test_a_refused_call_names_the_call_and_the_reason(
    client: StackClient, stack: FakeStack
) -> None:
    stack.will_answer("/api/kill-switch", error(401, "WRONG_KEY"))
    with pytest.raises(CallError) as raised:
        client.kill_switch()
    assert str(raised.value) == "GET /api/kill-switch: not now (WRONG_KEY)"
    assert (raised.value.reason, raised.value.status) == ("WRONG_KEY", 401)


def test_an_answer_that_is_no_json_is_malformed(client: StackClient, stack: FakeStack) -> None:
    stack.will_answer("/api/status", (200, b"<html>"))
    with pytest.raises(CallError, match="MALFORMED"):
        client.status()


def test_a_read_is_not_repeated(client: StackClient, stack: FakeStack) -> None:
    stack.will_answer("/api/status", error(503, "STORE_UNAVAILABLE"))
    with pytest.raises(CallError, match="STORE_UNAVAILABLE"):
        client.status()
    assert len(stack.calls) == 1


@pytest.mark.parametrize("refused", [(503, "NOT_THE_WRITER"), (429, "RATE_LIMITED")])
def test_a_call_that_was_refused_before_it_did_anything_is_repeated(
    client: StackClient, stack: FakeStack, refused: tuple[int, str]
) -> None:
    refusal = error(*refused)
    stack.will_answer("/api/kill-switch", refusal, refusal, (200, ENGAGED))
    assert client.set_kill_switch(engaged=True, reason="lunch").kill_switch
    assert len(stack.calls) == 3


def test_a_write_that_never_reaches_the_writer_fails(client: StackClient, stack: FakeStack) -> None:
    stack.will_answer("/api/kill-switch", error(503, "NOT_THE_WRITER"))
    with pytest.raises(CallError, match="NOT_THE_WRITER"):
        client.set_kill_switch(engaged=True, reason="lunch")
    assert len(stack.calls) == 3


def test_a_drain_repeats_a_close_whose_answer_is_lost_under_the_same_id(
    stack: FakeStack, key_file: Path
) -> None:
    done = {**CLOSE, "order_state": "FILLED", "client_order_id": "c1"}
    executed = {"drain_id": "d1", "closes": [done], "remaining_excess": "0", "ts_ms": 1.7e12}
    stack.will_answer("/api/kill-switch", (200, ENGAGED))
    stack.will_answer("/api/drain/plan", (200, PLAN), (200, {**PLAN, "closes": []}))
    stack.will_answer("/api/drain/execute", (0, None), (200, executed))
    code, output = run(SCRIPTS / "drain_overcap.py", stack=stack, key_file=key_file)
    assert code == 0, output
    assert "close EUR_USD 50000 of 150000: FILLED" in output
    limits = {"buffer_pct": 5.0, "min_units": "1"}
    execute = {"drain_id": "d1", "instrument": "EUR_USD", **limits}
    assert stack.calls[1] == ("POST", "/api/drain/plan", limits)
    assert stack.calls[2:4] == [("POST", "/api/drain/execute", execute)] * 2


def test_a_drain_that_leaves_exposure_over_the_cap_exits_with_1(
    stack: FakeStack, key_file: Path
) -> None:
    executed = {"drain_id": "d1", "closes": [], "remaining_excess": "9", "ts_ms": 1.7e12}
    stack.will_answer("/api/kill-switch", (200, ENGAGED))
    stack.will_answer("/api/drain/plan", (200, PLAN))
    stack.will_answer("/api/drain/execute", (200, executed))
    code, output = run(SCRIPTS / "drain_overcap.py", stack=stack, key_file=key_file)
    assert code == 1, output
    assert "still over the cap" in output


@pytest.mark.parametrize("engaged_at_first", [False, True])
def test_a_drain_is_refused_while_the_kill_switch_is_released(
    stack: FakeStack, key_file: Path, engaged_at_first: bool
) -> None:
    stack.will_answer("/api/kill-switch", (200, {**ENGAGED, "kill_switch": engaged_at_first}))
    stack.will_answer("/api/drain/plan", (200, PLAN))
    stack.will_answer("/api/drain/execute", error(400, "KILL_SWITCH_RELEASED"))
    code, output = run(SCRIPTS / "drain_overcap.py", stack=stack, key_file=key_file)
    assert code == 3, output


def test_a_snapshot_keeps_what_this_client_does_not_know_and_names_what_is_missing(
    stack: FakeStack, key_file: Path
) -> None:
    for route in ROUTES:
        stack.will_answer(route, (200, {"later_field": [1, {"deep": "0.10"}]}))
    status = {
        "version": "1",
        "ts_ms": 1.7e12,
        "freshness": [],
        "leases": [],
        "parts": [],
        "key_file_faults": [],
    }
    stack.will_answer("/api/status", (200, status))
    stack.will_answer("/api/oanda/account", error(503, "BROKER_UNAVAILABLE"))
    code, output = run(SCRIPTS / "snapshot.py", "--out", "s", stack=stack, key_file=key_file)
    assert code == 1, output
    assert "missing /api/oanda/account: GET /api/oanda/account: not now" in output
    taken = json.loads((key_file.parent / "s" / "2023-11-14T221320Z.json").read_text())
    assert taken["health"] == {}
    assert taken["/api/pairs"] == {"later_field": [1, {"deep": "0.10"}]}
    assert "BROKER_UNAVAILABLE" in taken["/api/oanda/account"]["error"]


HELD = {**CLOSE, "close_units": "150000", "reason": "FLATTEN"}
FLATTEN_ID = "f" * 32


def flattened(*remaining: dict[str, Any], state: str = "FILLED") -> dict[str, Any]:
    close = {**HELD, "order_state": state, "client_order_id": "c1"}
    return {
        "flatten_id": FLATTEN_ID,
        "closes": [close],
        "remaining": list(remaining),
        "complete": not remaining,
        "ts_ms": 1.7e12,
    }


def flatten_plan() -> tuple[int, object]:
    return 200, {**flattened(HELD), "closes": []}


def flatten(stack: FakeStack, key_file: Path, *arguments: str) -> tuple[int, str]:
    command = ("-m", "sep_ops", "flatten", "--reason", "gap", *arguments)
    return run(*command, stack=stack, key_file=key_file)


def test_a_flatten_that_closes_everything_exits_with_0(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/flatten", flatten_plan(), (200, flattened()))
    code, output = flatten(stack, key_file, "--flatten-id", FLATTEN_ID)
    assert code == 0, output
    assert "close EUR_USD 150000: FILLED" in output
    assert "nothing is held; the kill switch is engaged" in output
    plan, execute = (body for _, _, body in stack.calls)
    assert plan["dry_run"]
    sent = {"reason": "gap", "include_manual": False, "flatten_id": FLATTEN_ID}
    assert execute == {**sent, "dry_run": False}


def test_a_dry_run_of_a_flatten_sends_the_plan_alone(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/flatten", flatten_plan())
    code, output = flatten(stack, key_file, "--dry-run", "--include-manual")
    assert code == 0, output
    assert "150000" in output
    assert "nothing was engaged, nothing was sent" in output
    assert [body["dry_run"] for _, _, body in stack.calls] == [True]
    assert stack.calls[0][2]["include_manual"]


def test_a_flatten_that_leaves_a_position_exits_with_1(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/flatten", flatten_plan(), (200, flattened(HELD, state="REJECTED")))
    code, output = flatten(stack, key_file)
    assert code == 1, output
    assert "REJECTED" in output
    assert "still held" in output


def test_a_flatten_without_an_answer_is_repeated_under_its_id(
    stack: FakeStack, key_file: Path
) -> None:
    stack.will_answer("/api/flatten", flatten_plan(), (0, None), (200, flattened()))
    code, output = flatten(stack, key_file)
    assert code == 0, output
    first, second = (body["flatten_id"] for _, _, body in stack.calls[1:])
    assert first == second
    assert f"flatten id {first}" in output


def test_a_flatten_that_fails_names_the_id_to_go_on_with(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/flatten", flatten_plan(), error(503, "BROKER_UNAVAILABLE"))
    code, output = flatten(stack, key_file, "--flatten-id", FLATTEN_ID)
    assert code == 1, output
    assert "BROKER_UNAVAILABLE" in output
    assert f"go on with --flatten-id {FLATTEN_ID}" in output


def test_a_flatten_of_one_instrument_names_it_in_every_call(
    stack: FakeStack, key_file: Path
) -> None:
    stack.will_answer("/api/flatten", flatten_plan(), (200, flattened()))
    code, output = flatten(stack, key_file, "--instrument", "EUR_USD")
    assert code == 0, output
    assert "nothing of it is held; EUR_USD takes no entry" in output
    assert "kill switch" not in output
    plan, execute = (body for _, _, body in stack.calls)
    assert (plan["dry_run"], execute["dry_run"]) == (True, False)
    assert plan["instrument"] == execute["instrument"] == "EUR_USD"


def test_a_dry_run_of_one_instruments_flatten_locks_nothing(
    stack: FakeStack, key_file: Path
) -> None:
    stack.will_answer("/api/flatten", flatten_plan())
    code, output = flatten(stack, key_file, "--instrument", "EUR_USD", "--dry-run")
    assert code == 0, output
    assert "nothing was locked, nothing was sent" in output
    assert [body["dry_run"] for _, _, body in stack.calls] == [True]


def test_a_flatten_of_what_is_no_instrument_is_refused_before_any_call(
    stack: FakeStack, key_file: Path
) -> None:
    code, output = flatten(stack, key_file, "--instrument", "EURUSD")
    assert code == 2, output
    assert "'EURUSD': a name such as EUR_USD" in output
    assert not stack.calls


LOCK = {
    "instrument": "USD_JPY",
    "cause": "manual",
    "since_ms": 1.7e12,
    "until_ms": 1.7e12 + 5.4e6,
    "reason": "payrolls",
    "actor": "alice",
}


def locks(stack: FakeStack, key_file: Path, *arguments: str) -> tuple[int, str]:
    return run("-m", "sep_ops", "locks", *arguments, stack=stack, key_file=key_file)


def test_a_lock_is_set_with_an_end_and_listed(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/risk/locks", (200, {"locks": [LOCK]}))
    before = time.time_ns() / 1e6
    code, output = locks(
        stack, key_file, "set", "USD_JPY", "--minutes", "90", "--reason", "payrolls"
    )
    assert code == 0, output
    for text in ("USD_JPY", "manual", "2023-11-14 23:43", "alice", "payrolls"):
        assert text in output
    (method, _, body), (listed, _, _) = stack.calls
    assert (method, listed) == ("POST", "GET")
    assert -1 <= body.pop("until_ms") - 90 * 60_000 - before <= 60_000
    assert body == {"instrument": "USD_JPY", "locked": True, "reason": "payrolls"}


def test_the_locks_of_an_instrument_are_lifted(stack: FakeStack, key_file: Path) -> None:
    stack.will_answer("/api/risk/locks", (200, {"locks": []}))
    code, output = locks(stack, key_file, "lift", "USD_JPY", "--reason", "over")
    assert (code, output) == (0, "no instrument is locked\n")
    body = {"instrument": "USD_JPY", "locked": False, "reason": "over"}
    assert stack.calls[0] == ("POST", "/api/risk/locks", body)


def test_a_lock_without_an_end_says_how_it_ends(stack: FakeStack, key_file: Path) -> None:
    endless = {k: v for k, v in LOCK.items() if k != "until_ms"}
    stack.will_answer("/api/risk/locks", (200, {"locks": [endless]}))
    code, output = locks(stack, key_file, "list")
    assert code == 0, output
    assert "lifted by hand" in output


@pytest.mark.parametrize("action", [("list",), ("set", "XXX_YYY", "--reason", "x")])
def test_locks_that_can_not_be_read_or_set_exit_with_1(
    stack: FakeStack, key_file: Path, action: tuple[str, ...]
) -> None:
    stack.will_answer("/api/risk/locks", error(404, "UNKNOWN_INSTRUMENT"))
    code, output = locks(stack, key_file, *action)
    assert code == 1, output
    assert "UNKNOWN_INSTRUMENT" in output


@pytest.mark.parametrize("minutes", ["0", "1.5", "soon", "99999"])
def test_minutes_of_a_lock_that_are_none_exit_with_2(
    stack: FakeStack, key_file: Path, minutes: str
) -> None:
    code, output = locks(stack, key_file, "set", "USD_JPY", "--minutes", minutes, "--reason", "x")
    assert code == 2, output
    assert "whole minutes, 1 to" in output
    assert stack.calls == []


def test_what_blocks_an_entry_is_printed_with_the_run_in_force(
    stack: FakeStack, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    name = {"instrument": "EUR_USD"}
    ranked = {**name, "selected": True, "eligible": False, "weight": 0.05,
              "gate_reasons": ["PARAMETERS_NEW"]}  # fmt: skip
    ready = {**name, "ready": False, "reasons": ["KILL_SWITCH"], "checks": [], "direction": 1,
             "parameters_digest": "0123456789abcdef", "parameters_run": "run@abc"}  # fmt: skip
    stack.will_answer("/api/ranking/active", (200, {"ranking": [ranked], "ts_ms": 1}))
    stack.will_answer("/api/trade/readiness", (200, {"readiness": [ready]}))
    stack.will_answer("/api/pairs", (200, {"pairs": [{**name, "open": True}]}))
    stack.will_answer(
        "/api/oanda/positions", (200, {"positions": [], "last_transaction_id": "1", "left_out": []})
    )
    code, output = run("-m", "sep_ops", "why-no-trade", stack=stack, key_file=key_file)
    assert code == 0, output
    words = output.split()
    for word in ("open", "0.0500", "run@abc", "0123456789abcdef", "PARAMETERS_NEW", "KILL_SWITCH"):
        assert word in words, output


def notify(stack: FakeStack, key_file: Path, *outcomes: dict[str, Any]) -> tuple[int, str]:
    stack.will_answer("/api/notifications/test", (200, {"results": list(outcomes)}))
    return run("-m", "sep_ops", "notify", "--test", stack=stack, key_file=key_file)


MAIL = {"destination": "mailto-0a1b2c3d4e5f", "delivered": True, "error": ""}
CHAT = {"destination": "discord-5f4e3d2c1b0a", "delivered": False, "error": "not accepted"}


def test_a_test_of_notifications_names_each_outcome(stack: FakeStack, key_file: Path) -> None:
    assert notify(stack, key_file, MAIL) == (0, "mailto-0a1b2c3d4e5f: delivered\n")
    assert stack.calls == [("POST", "/api/notifications/test", {})]
    code, output = notify(stack, key_file, MAIL, CHAT)
    assert (code, output.splitlines()[1]) == (1, "discord-5f4e3d2c1b0a: FAILED: not accepted")


def test_a_test_of_notifications_without_a_destination_exits_with_1(
    stack: FakeStack, key_file: Path
) -> None:
    code, output = notify(stack, key_file)
    assert code == 1, output
    assert "NOTIFY_URLS_FILE" in output
    code, _ = run("-m", "sep_ops", "notify", stack=stack, key_file=key_file)
    assert code == 2
