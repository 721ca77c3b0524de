"""Fuzzing: no request to a path of the broker's API description gets a 5xx response.

The description is a large file that the repository does not contain: SEP_SWAGGER is its path, by
default next to the repository.
"""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from .conftest import Serve

DEFAULT_PATH = Path(__file__).parents[4] / "shared/oanda/v20.swagger.json"
PATH = Path(os.environ.get("SEP_SWAGGER", DEFAULT_PATH))

if not PATH.is_file():
    pytest.skip("no API description: set SEP_SWAGGER to v20.swagger.json", allow_module_level=True)

# Streams never end; the other paths are not served and always return 404.
UNSERVED = re.compile(r"stream|/users|orderBook|positionBook|/price|^/pricing")
EXAMPLES = 8
ACCOUNT = "101-001-0000001-001"


@pytest.mark.timeout(400)
async def test_no_valid_or_invalid_call_gets_a_server_error(
    serve: Serve,
) -> None:
    async with serve() as client:
        await client.order(1000)
        tested = await asyncio.to_thread(_fuzz, client.running.url)
    assert tested >= 25


def _fuzz(url: str) -> int:
    import schemathesis  # two seconds in every process that collects this file

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
    import schemathesis
    from schemathesis.checks import not_a_server_error

    try:
        strategy = operation.as_strategy(generation_mode=mode)
    except schemathesis.errors.SchemathesisError:
        return  # the operation has no invalid inputs

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
        response = case.call(base_url=f"{url}/v3", headers={"Authorization": "Bearer secret"})
        case.validate_response(response, checks=(not_a_server_error,))

    call()
