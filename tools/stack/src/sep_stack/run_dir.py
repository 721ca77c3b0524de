"""The run directory: one supervisor at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sep_stack.faults import StackError


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold the run directory, which is made if need be.

    The kernel lets go of the lock when the process ends, however it ends.

    Raises:
        StackError: another supervisor holds it, or it can't be written.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StackError(f"can't use the run directory {run_dir}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode(errors="replace").strip()
            raise StackError(
                f"a stack already runs on {run_dir} (pid {holder}): "
                f"stop it with Ctrl-C or `kill {holder}`, or set SEP_RUN_DIR to another directory"
            ) from None
        os.truncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(lock)
