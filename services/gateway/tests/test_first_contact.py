"""A broker that denies access ends the start at once, and says what to check."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr
from sep_gateway.settings import GatewaySettings
from sep_kit.settings.loading import EX_CONFIG, InvalidSettingsError
from sep_kit.store import keys
from sep_kit.store.connection import Valkey, reply
from sep_paper_broker.app import RunningBroker, serve_paper_broker
from sep_paper_broker.settings import Settings as PaperSettings
from sep_testing.eventually import eventually
from sep_testing.valkey import free_port

MakeSettings = Callable[..., GatewaySettings]


async def start(settings: GatewaySettings, **changed: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sep_gateway",
        env={
            "PATH": os.environ["PATH"],
            "GRPC_LISTEN": "127.0.0.1:0",
            "VALKEY_URL": settings.valkey_url,
            "OANDA_API_URL": settings.oanda_api_url,
            "OANDA_STREAM_URL": settings.oanda_stream_url,
            "OANDA_API_TOKEN": settings.oanda_api_token.get_secret_value(),
            **changed,
        },
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def ended(process: asyncio.subprocess.Process) -> str:
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    text = output.decode()
    assert process.returncode == EX_CONFIG, text
    assert "Traceback" not in text
    (sentence,) = [line for line in text.splitlines() if "start refused" in line]
    for knob in ("OANDA_API_TOKEN", "OANDA_ACCOUNT_ID", "OANDA_ENVIRONMENT"):
        assert knob in sentence
    return text


async def test_wrong_token_ends_the_start(gateway_settings: MakeSettings, store: Valkey) -> None:
    settings = gateway_settings()
    text = await ended(await start(settings, OANDA_API_TOKEN="hunter2-hunter2"))
    assert "401" in text
    assert "Insufficient authorization" in text
    assert "hunter2" not in text
    assert await reply(store.get(keys.STORE_ACCOUNT)) is None


async def test_unknown_account_ends_the_start(
    gateway_settings: MakeSettings, store: Valkey
) -> None:
    """And is not recorded in the store, where it would lock out the correct one."""
    text = await ended(await start(gateway_settings(), OANDA_ACCOUNT_ID="101-001-9999999-001"))
    assert "The account specified does not exist" in text
    assert await reply(store.get(keys.STORE_ACCOUNT)) is None


async def test_forbidden_account_ends_the_start(
    gateway_settings: MakeSettings, broker: RunningBroker, store: Valkey
) -> None:
    broker.faults.add({"kind": "status", "status": 403, "path": "summary"})
    assert "403" in await ended(await start(gateway_settings()))


async def test_broker_that_comes_up_and_denies_access_ends_the_wait(
    gateway_settings: MakeSettings, store: Valkey
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = await start(gateway_settings(), OANDA_API_URL=url, OANDA_STREAM_URL=url)
    assert process.stdout is not None
    seen = b""
    while b"waiting for the broker" not in seen:
        seen += await asyncio.wait_for(process.stdout.readline(), 30)
    async with serve_paper_broker(
        PaperSettings(port=port, token="another-token"), clock=time.time_ns
    ):
        text = await ended(process)
    # One line per cause, not per attempt.
    assert len(text.splitlines()) + seen.count(b"\n") < 40, text


async def test_access_lost_later_does_not_end_the_gateway(
    start_gateway: Any, broker: RunningBroker
) -> None:
    """Positions may be open: it reports it, and goes on when access is back."""
    async with start_gateway() as gateway:
        await eventually(gateway.serves)
        fault = broker.faults.add({"kind": "status", "status": 401, "path": "summary"})

        async def denied() -> bool:
            metrics = await gateway.metrics("sep_broker_access_denied")
            return bool(metrics["sep_broker_access_denied"] == 1)

        await eventually(denied)
        broker.faults.remove(fault.id)

        async def back() -> bool:
            return not await denied() and bool(await gateway.serves())

        await eventually(back)


@pytest.mark.parametrize(
    "url", ["https://api-fxpractice.oanda.com/v3", "http://127.0.0.1:1/v3/", "http://h:1/?a=b"]
)
def test_url_with_a_path_is_refused(gateway_settings: MakeSettings, url: str) -> None:
    with pytest.raises(InvalidSettingsError) as failure:
        gateway_settings(OANDA_API_URL=url)
    (fault,) = failure.value.faults
    assert "OANDA_API_URL" in fault
    assert "host alone" in fault


def test_what_to_check_hides_the_token(gateway_settings: MakeSettings) -> None:
    settings = gateway_settings(OANDA_API_TOKEN="hunter2-hunter2")
    assert isinstance(settings.oanda_api_token, SecretStr)
    assert "hunter2" not in settings.what_to_check()
