"""Forwards a loopback port of this machine into the containers' private network namespace."""

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_CLONE_NEWNET = 0x4000_0000
_CHUNK = 65_536


class Forward:
    """Listens on a free port and forwards each connection to a loopback port of the namespace.

    Args:
        pid: returns the id of a process in the namespace. Called for each connection, because
            containers are replaced.
        port: the port inside the namespace.
    """

    def __init__(self, pid: Callable[[], int], port: int) -> None:
        self._pid = pid
        self._inside = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            # In a thread of its own: setns changes the namespace of a thread for good.
            with ThreadPoolExecutor(1) as inside:
                server = inside.submit(self._connect).result()
        except (OSError, LookupError, ValueError):
            client.close()
            return
        threading.Thread(target=_pump, args=(client, server), daemon=True).start()
        _pump(server, client)
        client.close()
        server.close()

    def _connect(self) -> socket.socket:
        namespace = os.open(Path(f"/proc/{self._pid()}/ns/net"), os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace, _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(namespace)
        server = socket.create_connection(("127.0.0.1", self._inside), timeout=5)
        server.settimeout(None)
        return server


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
