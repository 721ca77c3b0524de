"""Connection to Valkey, with its errors as ``StoreUnavailableError``."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio as redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, WatchError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sep_kit.errors import StoreUnavailableError

Valkey = redis.Redis

_TIMEOUT_S = 2.0


def open_valkey(url: str) -> Valkey:
    """A client that connects on first use; each call times out after two seconds."""
    return redis.Redis.from_url(
        url.replace("valkey://", "redis://", 1),
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        health_check_interval=15,
        # All writes are idempotent, so every command may be sent twice. Timeouts are not retried:
        # the caller has waited long enough.
        retry=Retry(
            ExponentialBackoff(cap=0.2, base=0.02),
            retries=2,
            supported_errors=(RedisConnectionError,),
        ),
        protocol=2,
    )


@asynccontextmanager
async def store_errors() -> AsyncIterator[None]:
    """Convert the client's errors into ``StoreUnavailableError``, except ``WatchError``."""
    try:
        yield
    except WatchError:
        # Another writer was faster: the caller retries.
        raise
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailableError(f"Valkey does not answer: {error}") from error
    except RedisError as error:
        raise StoreUnavailableError(f"Valkey refused: {error}") from error


def wrong_type(error: Exception) -> bool:
    """Whether a command failed because its key holds a value of another type."""
    return isinstance(error, RedisError) and str(error).startswith("WRONGTYPE")


async def reply(command: Awaitable[Any]) -> Any:
    """Await a command and return its reply, typed ``Any``: the client's own types are imprecise.

    Raises:
        StoreUnavailableError: Valkey does not answer, or refuses.
    """
    async with store_errors():
        return await command


__all__ = ["Pipeline", "Valkey", "open_valkey", "reply", "store_errors", "wrong_type"]
