"""The run directory: its lock, and the folder of its sockets."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from sep_local.errors import StackError

_OWNER_ONLY = 0o700
_LONGEST_FOLDER = 80
"""The path of a socket has at most 107 bytes."""


@contextlib.contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Create the run directory if missing, and hold its lock.

    The kernel releases the lock when the process ends, however it ends.

    Raises:
        StackError: another supervisor holds the lock, or the directory can't be written.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        if run_dir.stat().st_uid == os.getuid():
            # Also one that an earlier version made.
            run_dir.chmod(_OWNER_ONLY)
        lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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


def socket_folder(run_dir: Path) -> Path:
    """The folder of sockets: the run directory, or a temporary one if its path is too long.

    Raises:
        StackError: the temporary folder belongs to another user.
    """
    if len(str(run_dir)) <= _LONGEST_FOLDER:
        return run_dir
    folder = Path(tempfile.gettempdir()) / f"sep-{sha256(str(run_dir).encode()).hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != run_dir.stat().st_uid:
        raise StackError(f"{folder} belongs to another user; set SEP_RUN_DIR to a shorter path")
    return folder
