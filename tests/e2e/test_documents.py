"""The API's documentation is correct: OpenAPI document, page, client, commands."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from sep_client import AsyncClient, Client
from sep_client.errors import NoAnswerError, UnauthenticatedError, UnavailableError
from sep_edge.openapi.errors import HTTP_STATUS
from sep_testing.eventually import eventually

from tests.e2e.calls import CALLERS, LATE, METHODS, REST
from tests.e2e.conftest import ROOT, Stack
from tests.e2e.grpcurl import grpcurl
from tests.programs import needs_curl

pytestmark = pytest.mark.timeout(600)

# A stream does not end, and the others close positions.
NOT_CALLED = {m.route for m in METHODS.values() if m.streams} | {
    "/api/drain/execute",
    "/api/flatten",
}


def test_the_document_is_served(api: Stack) -> None:
    response = httpx.get(f"{api.url}/openapi.json", timeout=30)
    assert response.headers["content-type"] == "application/json"
    document = response.json()
    assert document["openapi"] == "3.1.0"
    for method in METHODS.values():
        if method.route:
            operation = document["paths"][method.route][method.verb.lower()]
            assert operation["summary"]
            assert set(method.errors) <= set(HTTP_STATUS)
            for parameter in operation.get("parameters", []):
                assert parameter["description"]


def test_the_page_needs_no_network_and_no_scripts(api: Stack) -> None:
    response = httpx.get(f"{api.url}/docs", timeout=30)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert not re.search(r"<script|src=|https?://", response.text.replace(api.url, ""))
    # The port in use, whatever maps to the one that Envoy listens on.
    assert f"{api.url}/api/status" in response.text
    for method in REST:
        assert f"id={method.operation}>" in response.text


def test_generated_requests_get_documented_responses(
    api: Stack,
) -> None:
    """Schemathesis: no 5xx, and only documented statuses, content types and schemas."""
    # Two seconds in every process that collects this file.
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    schema = schemathesis.openapi.from_url(f"{api.url}/openapi.json")
    checks = (
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    )
    tested = 0
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.path in NOT_CALLED:
            continue
        strategies = [operation.as_strategy(generation_mode=mode) for mode in _modes(operation)]
        for strategy in strategies:
            _call_all(strategy, checks, api)
            tested += 1
    assert tested > 25


def _modes(operation: Any) -> list[Any]:
    import schemathesis

    modes = [schemathesis.GenerationMode.POSITIVE]
    if operation.query or operation.body:
        modes.append(schemathesis.GenerationMode.NEGATIVE)
    return modes


def _call_all(strategy: Any, checks: Any, api: Stack) -> None:
    from schemathesis.checks import not_a_server_error

    @settings(
        max_examples=12,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def call(case: Any) -> None:
        if case.method == "POST" and isinstance(case.body, dict):
            # It must not trade, nor wait for the broker for minutes.
            case.body |= {"dry_run": True} if "reconcile" in case.path else {}
            case.body |= {"count": 10} if "count" in case.body else {}
        for _ in range(3):
            response = case.call(headers=CALLERS["writer"], timeout=30)
            # A machine that stalls may make a part late.
            if response.status_code not in LATE or _reason(response) == "VIEW_STALE":
                break
        demanded = "min_transaction_id" in (case.query or {})
        # A view with a transaction that the account does not have yet is refused, as documented.
        stale = demanded and response.status_code == 503 and _reason(response) == "VIEW_STALE"
        applied = [c for c in checks if not (stale and c is not_a_server_error)]
        case.validate_response(response, headers=CALLERS["writer"], checks=applied)

    call()


def _reason(response: Any) -> str:
    return str(response.json()["details"][0]["reason"])


async def test_the_client_examples_run(api: Stack) -> None:
    readme = (ROOT / "clients/python/README.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        code = example.replace("http://127.0.0.1:8000", api.url)
        code = code.replace(".run/keys/write", str(api.run_dir / "keys/write.alice"))
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def served(read: Callable[[], Any]) -> Any:
    """What a read returns; None if a machine that stalls made a part late."""
    try:
        return read()
    except (NoAnswerError, UnavailableError):
        return None


async def test_every_read_of_the_client_succeeds(api: Stack) -> None:
    with Client(api.url) as sep:
        assert sep.health().healthy
        assert len(sep.pairs().pairs) == 8
        (bid,) = (c.bid for c in sep.candles("EUR_USD", limit=1).candles)
        assert bid
        assert bid.l <= bid.c <= bid.h
        for read in (sep.status, sep.ranking, sep.allocation_status, sep.budget, sep.readiness,
                     sep.kill_switch, sep.coherence, sep.account, sep.positions, sep.open_trades,
                     sep.instruments, sep.pricing, sep.metrics):  # fmt: skip
            assert await eventually(partial(served, read))
        with pytest.raises(UnauthenticatedError):
            sep.reconcile(dry_run=True)
    async with AsyncClient(api.url, key="a" * 32) as sep_async:
        assert (await sep_async.reconcile(dry_run=True)).dry_run
        assert (await sep_async.plan_drain()).closes is not None


def test_the_grpcurl_commands_in_the_docs_run(api: Stack) -> None:
    address, key = api.url.removeprefix("http://"), "$(cat $SEP_KEY_FILE)"
    for file, least in (("docs/api.md", 3), ("README.md", 2)):
        page = (ROOT / file).read_text()
        commands = re.findall(r"^grpcurl -.*$", page, re.MULTILINE)
        assert len(commands) >= least
        for command in commands:
            assert grpcurl(command, address, {key: "a" * 32})


COMMAND = re.compile(r"^(?:curl|\.venv/bin/buf|KEY=)(?:\\\n|.)*$", re.MULTILINE)
# A block that is for OANDA's own servers.
ELSEWHERE = re.compile(r"## An OANDA practice account.*?(?=^## )", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    ("file", "least"),
    [
        pytest.param(file, least, marks=needs_curl((ROOT / file).read_text()))
        for file, least in (("README.md", 10), ("docs/api.md", 6))
    ],
)
def test_the_commands_in_the_docs_run_in_a_bare_shell(
    api: Stack, file: str, least: int, tmp_path: Path
) -> None:
    """In the project's folder, with no more than SEP_URL and SEP_KEY_FILE: on any port."""
    page = ELSEWHERE.sub("", (ROOT / file).read_text())
    assert re.findall(r":8000\b", re.sub(r"^export .*$|<http.*?>", "", page, flags=re.M)) == []
    commands = COMMAND.findall(page)
    assert len(commands) >= least
    # HTTP errors count, and a stream has no end.
    # A machine that stalls may make a part late, which curl counts as transient.
    options = "--fail-with-body ${STREAM:---max-time 20 --retry 2}"
    lines = [f'curl() {{ command timeout 80 curl {options} "$@"; }}']
    for command in commands:
        ends = f"STREAM='--max-time 3'\n{{ {command}\n}} || test $? = 28\nSTREAM="
        lines += [ends if "-sN" in command else command, "echo"]
    # They engage the kill switch, and one page leaves it engaged.
    request = {"kill_switch": False, "reason": "after the documents' commands"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "SEP_URL": api.url,
            "SEP_KEY_FILE": str(api.run_dir / "keys/write.alice"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert api.post("/api/kill-switch", request).status_code == 200
    assert done.returncode == 0, done.stdout + done.stderr
