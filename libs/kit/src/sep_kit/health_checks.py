"""Why a service does not work: the first health check or background task that failed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

Check = Callable[[], Awaitable[str | None]]
"""Returns why the service does not work, or None while it does."""

_CHECK_TIMEOUT_S = 3.0


class BackgroundTask(Protocol):
    """Work that runs as long as the service: a ``PeriodicLoop`` or a ``Subscription``."""

    name: str
    vital: bool

    def stalled(self) -> str | None:
        """Why it does not work; None while it does."""
        ...

    async def run(self) -> None:
        """Work until cancelled."""
        ...


async def first_fault(checks: Mapping[str, Check], tasks: Sequence[BackgroundTask]) -> str | None:
    """Why the service does not work; None while all checks pass and all vital tasks work."""
    for name, check in checks.items():
        try:
            async with asyncio.timeout(_CHECK_TIMEOUT_S):
                fault = await check()
        except TimeoutError:
            fault = "timed out"
        except Exception as error:  # noqa: BLE001 - a broken check must not end the service
            fault = str(error) or repr(error)
        if fault is not None:
            return f"{name}: {fault}"
    return next(
        (fault for task in tasks if task.vital and (fault := task.stalled())),
        None,
    )
