"""The connection to Valkey, and its errors as ours."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sep_kit.errors import StoreUnavailableError

Valkey = redis.Redis

_TIMEOUT_S = 2.0


def open_valkey(url: str) -> Valkey:
    """A client that connects on first use and gives up on a call after two seconds."""
    return redis.Redis.from_url(
        url.replace("valkey://", "redis://", 1),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        health_check_interval=15,
        # Every command here may be sent twice: a write says what shall be, not by how much. Only
        # what fails at once is tried again: whoever waits for a store that hangs waits long enough.
        retry=Retry(
            ExponentialBackoff(cap=0.2, base=0.02),
            retries=2,
            supported_errors=(RedisConnectionError,),
        ),
        protocol=2,
    )


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Turn what the client raises when Valkey is away into ``StoreUnavailableError``."""
    try:
        yield
    except WatchError:
        # No fault: another writer was faster, and the caller tries again.
        raise
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailableError(f"Valkey does not answer: {error}") from error
    except RedisError as error:
        raise StoreUnavailableError(f"Valkey refused: {error}") from error


async def answer(command: Awaitable[Any]) -> Any:
    """The answer to a command; the client's own types say less than its documentation.

    Raises:
        StoreUnavailableError: Valkey does not answer, or refuses.
    """
    async with store_errors():
        return await command
