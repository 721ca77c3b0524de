"""Finds ports that are in use, and the processes that use them."""

import errno
import socket
from collections.abc import Mapping
from pathlib import Path

from sep_edge.address import Address

from sep_local.errors import StackError

_LISTEN = "0A"


def check_ports(listeners: Mapping[str, Address], proc: Path = Path("/proc")) -> None:
    """Check that the stack can listen on its addresses.

    Args:
        listeners: addresses by the setting that moves each.
        proc: where the proc filesystem is mounted.

    Raises:
        StackError: ports are in use; each is listed with its setting and its process.
    """
    faults = []
    for setting, address in listeners.items():
        if problem := _problem(address):
            holder = find_holder(address.port, proc) if problem == "in use" else None
            by = f" by {holder}" if holder else ""
            faults.append(f"port {address.port} is {problem}{by}; {setting} moves it")
    if faults:
        raise StackError("the stack can't listen:", [*faults, "--port-base N moves all of them"])


def _problem(address: Address) -> str | None:
    # Without SO_REUSEPORT, with which Envoy and gRPC would share a used port silently.
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "in use"
            return f"not available on {address.host} ({error.strerror})"
    return None


def find_holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """The process that listens on a port, such as ``pid 12 (python -m x)``; None if unknown."""
    inodes = _listening_inodes(port, proc)
    for process in proc.glob("[0-9]*"):
        try:
            links = [str(fd.readlink()) for fd in (process / "fd").iterdir()]
            if inodes.isdisjoint(links):
                continue
            words = (process / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:  # another user's process, or one that has just ended
            continue
        return f"pid {process.name} ({b' '.join(words).decode(errors='replace')[:80]})"
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            local, state, inode = fields[1], fields[3], fields[9]
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{inode}]")
    return inodes
