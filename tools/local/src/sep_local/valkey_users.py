"""Users of the local Valkey: the services, which may do everything, and everyone else, who reads.

Any program of this machine reaches the port. Who could write there could release the kill switch.
"""

import hashlib
import os
import secrets
from pathlib import Path

from sep_edge.address import Address

_USER = "sep"
_OWNER_ONLY = 0o600


def url_file(run_dir: Path) -> Path:
    """The file with the URL of the services' user, for operators who must write."""
    return run_dir / "valkey.url"


def make_users(run_dir: Path, address: Address) -> Path:
    """Make a new password; writes the URL that carries it, and Valkey's file of users.

    Returns:
        Valkey's file of users, which holds no password but its hash.
    """
    password = secrets.token_urlsafe(32)
    _write(url_file(run_dir), f"redis://{_USER}:{password}@{address}/0\n")
    digest = hashlib.sha256(password.encode()).hexdigest()
    users = run_dir / "valkey" / "users.acl"
    readers = "~* &* +@read +@connection +subscribe +psubscribe +info +command"
    _write(
        users,
        f"user default on nopass {readers}\nuser {_USER} on #{digest} ~* &* +@all\n",
    )
    return users


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
    with os.fdopen(file, "w", encoding="ascii") as out:
        out.write(text)
