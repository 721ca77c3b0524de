"""Blocks of loopback ports for tests that start a whole stack, safe between test processes."""

import atexit
import contextlib
import random
import socket

# Below the ephemeral range, from which the kernel takes ports for outgoing connections.
_FIRST, _LAST = 20_000, 32_000
_BLOCK = 16


def reserve_ports(count: int = 8) -> int:
    """The first of ``count`` consecutive free ports, which no other test process will get.

    A reservation lasts until this process ends: the block is marked by a socket in the abstract
    namespace, which the kernel removes with the process.

    Raises:
        OSError: no block is free.
    """
    if count > _BLOCK:
        raise ValueError(f"at most {_BLOCK} ports, not {count}")
    bases = list(range(_FIRST, _LAST, _BLOCK))
    random.shuffle(bases)
    for base in bases:
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0sep-testing-ports-{base}")
            with contextlib.ExitStack() as probes:
                for port in range(base, base + count):
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        # Closed, since a socket that is merely dropped is reported when the process ends.
        atexit.register(mark.close)
        return base
    raise OSError(f"no {count} consecutive free ports between {_FIRST} and {_LAST}")
