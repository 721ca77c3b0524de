"""Whatever a client sends to a path that the broker's own contract names, no answer is a 5xx.

The contract is a large file that is not ours to ship: SEP_SWAGGER names it, else the place
beside the repository is tried.
"""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from .conftest import Serve

BESIDE = Path(__file__).parents[4] / "shared/oanda/v20.swagger.json"
PATH = Path(os.environ.get("SEP_SWAGGER", BESIDE))

if not PATH.is_file():
    pytest.skip("no broker contract: set SEP_SWAGGER to v20.swagger.json", allow_module_level=True)

# Streams never end, and a pair of paths that this broker does not serve answers 404 to all.
UNSERVED = re.compile(r"stream|/users|orderBook|positionBook|/price|^/pricing")
EXAMPLES = 8
ACCOUNT = "101-001-0000001-001"


@pytest.mark.timeout(240)
async def test_no_call_that_the_contract_allows_or_forbids_gets_a_server_error(
    serve: Serve,
) -> None:
    async with serve() as client:
        await client.order(1000)
        tested = await asyncio.to_thread(_fuzz, client.running.url)
    assert tested >= 25


def _fuzz(url: str) -> int:
    document = json.loads(PATH.read_text(encoding="utf-8"))
    schema = schemathesis.openapi.from_dict(document)
    tested = 0
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if UNSERVED.search(operation.path):
            continue
        for mode in schemathesis.GenerationMode:
            _call_all(operation, mode, url)
        tested += 1
    return tested


def _call_all(operation: Any, mode: Any, url: str) -> None:
    try:
        strategy = operation.as_strategy(generation_mode=mode)
    except schemathesis.errors.SchemathesisError:
        return  # nothing about it can be wrong

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def call(case: Any) -> None:
        if mode is schemathesis.GenerationMode.POSITIVE:
            case.path_parameters["accountID"] = ACCOUNT
            case.path_parameters |= (
                {"instrument": "EUR_USD"} if "instrument" in case.path_parameters else {}
            )
        answer = case.call(base_url=f"{url}/v3", headers={"Authorization": "Bearer secret"})
        case.validate_response(answer, checks=(not_a_server_error,))

    call()
