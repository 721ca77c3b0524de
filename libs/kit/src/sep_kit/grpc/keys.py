"""API keys in a folder, one file per key, reloaded when the folder changes.

A file name is a role, or a role and a name: ``write``, ``write.alice``, ``read.grafana``,
``internal.guard``. The name of an internal key is the service that sends it. To rotate a key, add a
second file, move its users to the new key, and delete the first file. No restart is needed. A file
that can't be used costs its own key alone.
"""

import hashlib
import hmac
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sep_kit.logging import get_logger

_log = get_logger("Keys")

MIN_KEY_LENGTH = 24
"""Shorter keys are ignored: 24 random characters can't be guessed."""

_MAX_FILE_BYTES = 4096
_RELOAD_INTERVAL_S = 1.0


class Role(Enum):
    """What a key allows."""

    READ = "read"
    WRITE = "write"
    INTERNAL = "internal"


_ROLES = frozenset(role.value for role in Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Owner of the key that a call carried."""

    role: Role
    name: str


@dataclass(frozen=True, slots=True)
class KeyFileFault:
    """A file that is not used as a key, and why; ``file`` is its name."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Key:
    caller: Caller
    digest: bytes


class KeyRing:
    """The keys in a folder; empty without one.

    Args:
        monotonic: monotonic time in seconds.
        service: name of the service that reads them, which sends the internal key of this name.
    """

    def __init__(
        self, folder: Path | None, monotonic: Callable[[], float], service: str = ""
    ) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._service = service
        self._checked_at = float("-inf")
        self._seen: object = None
        self._keys: tuple[_Key, ...] = ()
        self._faults: tuple[KeyFileFault, ...] = ()
        self._own = ""

    def caller(self, key: str) -> Caller | None:
        """Owner of this key, None if it is unknown; takes the same time for every wrong key."""
        self._refresh()
        digest = _digest(key)
        found = None
        for known in self._keys:
            if hmac.compare_digest(known.digest, digest):
                found = known.caller
        return found

    def own_key(self) -> str:
        """The internal key that this service sends to its peers; empty without one.

        It is the key of this service's name, else the one without a name, which allows no orders.
        """
        self._refresh()
        return self._own

    def faults(self) -> tuple[KeyFileFault, ...]:
        """Files that are not used as keys."""
        self._refresh()
        return self._faults

    def _refresh(self) -> None:
        now = self._monotonic()
        if self._folder is None or now - self._checked_at < _RELOAD_INTERVAL_S:
            return
        self._checked_at = now
        try:
            files = sorted(p for p in self._folder.iterdir() if not p.name.startswith("."))
        except OSError as error:
            # Without keys, every call that needs one is refused.
            if self._seen != repr(error):
                _log.error("can't read the API keys: no key is valid", error=repr(error))
            self._seen, self._keys, self._own = repr(error), (), ""
            self._faults = (KeyFileFault(self._folder.name, f"unreadable: {error.strerror}"),)
            return
        seen = [(p.name, _version(p)) for p in files]
        if seen != self._seen:
            self._seen = seen
            self._load(files)

    def _load(self, files: Sequence[Path]) -> None:
        keys: list[_Key] = []
        faults, own = [], {}
        for path in files:
            try:
                caller, key = _read(path)
            except _UnusableError as error:
                faults.append(KeyFileFault(path.name, str(error)))
                _log.error("key file ignored", file=path.name, reason=str(error))
                continue
            keys.append(_Key(caller, _digest(key)))
            if caller.role is Role.INTERNAL:
                own[caller.name] = key
        self._keys, self._faults = tuple(keys), tuple(faults)
        self._own = own.get(self._service) or own.get(Role.INTERNAL.value, "")
        _log.info("API keys loaded", names=[f"{k.caller.role.value}:{k.caller.name}" for k in keys])


class _UnusableError(Exception):
    """Why a file is not used as a key."""


def _read(path: Path) -> tuple[Caller, str]:
    role, _, name = path.name.partition(".")
    if role not in _ROLES:
        raise _UnusableError("its name is not a role: write, read or internal, or one with .NAME")
    try:
        found = path.stat()
        if not stat.S_ISREG(mode := found.st_mode):
            raise _UnusableError("not a file")
        if found.st_size > _MAX_FILE_BYTES:
            raise _UnusableError(f"larger than {_MAX_FILE_BYTES} bytes")
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            raise _UnusableError(
                f"every user of this machine may use it: chmod 600 {path}, better a new key"
            )
        key = path.read_bytes().decode("ascii").strip()
    except OSError as error:
        raise _UnusableError(f"unreadable: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _UnusableError(
            "not plain ASCII text; an editor may have put a byte order mark before the key"
        ) from None
    if len(key) < MIN_KEY_LENGTH:
        raise _UnusableError(f"shorter than {MIN_KEY_LENGTH} characters")
    return Caller(Role(role), name or role), key


def _version(path: Path) -> object:
    """Values that differ once the file has changed: time, size, inode and mode."""
    try:
        found = path.stat()
    except OSError as error:
        return repr(error)
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
