"""Envoy's admin interface: draining before a stop."""

import asyncio
import contextlib
import http.client
import socket
import tempfile
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

from sep_stack.address import Address
from sep_stack.envoy.wire import Endpoint
from sep_stack.faults import StackError

_SECONDS = 1.0
_ASK_EVERY_S = 0.05
_LONGEST_FOLDER = 80
"""Socket paths hold 107 bytes."""


def socket_folder(run_dir: Path) -> Path:
    """Where sockets of this run directory go: into it, unless its name is too long for that.

    Raises:
        StackError: somebody else has taken the folder's name.
    """
    if len(str(run_dir)) <= _LONGEST_FOLDER:
        return run_dir
    folder = Path(tempfile.gettempdir()) / f"sep-{sha256(str(run_dir).encode()).hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != run_dir.stat().st_uid:
        raise StackError(f"{folder} belongs to somebody else; set SEP_RUN_DIR to a shorter path")
    return folder


def drained(admin: Endpoint, within: float) -> Callable[[], Awaitable[None]]:
    """Ends when no call is under way, or after a while: streams end only when they are cut.

    Answers tell clients to come back on another connection from now on.
    """

    async def drain() -> None:
        with contextlib.suppress(OSError, TimeoutError, http.client.HTTPException):
            async with asyncio.timeout(within):
                await asyncio.to_thread(_ask, admin, "POST", "/drain_listeners?graceful&skip_exit")
                while await asyncio.to_thread(_calls_under_way, admin):  # noqa: ASYNC110 - not ours
                    await asyncio.sleep(_ASK_EVERY_S)

    return drain


def _calls_under_way(admin: Endpoint) -> int:
    text = _ask(admin, "GET", "/stats?filter=^http.public.downstream_rq_active$")
    return int(text.rpartition(":")[2] or 0)


def _ask(admin: Endpoint, verb: str, path: str) -> str:
    connection = _AdminConnection(admin)
    try:
        connection.request(verb, path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


class _AdminConnection(http.client.HTTPConnection):
    def __init__(self, admin: Endpoint) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._admin = admin

    def connect(self) -> None:
        if isinstance(self._admin, Address):
            where = (self._admin.host, self._admin.port)
            self.sock = socket.create_connection(where, _SECONDS)
            return
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._admin)
