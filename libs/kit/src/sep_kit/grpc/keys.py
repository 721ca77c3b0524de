"""API keys in a folder, one file per key, reloaded when the folder changes.

A file name is a role, or a role and a name: ``write``, ``write.alice``, ``read.grafana``,
``internal``. To rotate a key, add a second file, move its users to the new key, and delete the
first file. No restart is needed.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sep_kit.logging import get_logger

_log = get_logger("Keys")

MIN_KEY_LENGTH = 24
"""Shorter keys are ignored: 24 random characters can't be guessed."""

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
class _Key:
    caller: Caller
    digest: bytes


class KeyRing:
    """The keys in a folder; empty without one.

    Args:
        monotonic: monotonic time in seconds.
    """

    def __init__(self, folder: Path | None, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._checked_at = float("-inf")
        self._stats: object = None
        self._keys: tuple[_Key, ...] = ()
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
        """The internal key, which this service sends to its peers; empty without one."""
        self._refresh()
        return self._own

    def _refresh(self) -> None:
        now = self._monotonic()
        if self._folder is None or now - self._checked_at < _RELOAD_INTERVAL_S:
            return
        self._checked_at = now
        try:
            files = sorted(p for p in self._folder.iterdir() if not p.name.startswith("."))
            stats = [
                (p.name, s.st_mtime_ns, s.st_size, s.st_ino) for p in files for s in [p.stat()]
            ]
            if stats == self._stats:
                return
            texts = {p.name: p.read_text("ascii").strip() for p in files if p.is_file()}
        except (OSError, UnicodeDecodeError) as error:
            # Without keys, every call that needs one is refused.
            if self._stats != repr(error):
                _log.error("can't read the API keys: no key is valid", error=repr(error))
            self._stats, self._keys, self._own = repr(error), (), ""
            return
        self._stats = stats
        self._load(texts)

    def _load(self, texts: dict[str, str]) -> None:
        keys, own = [], ""
        for file, key in texts.items():
            role, _, name = file.partition(".")
            if role not in _ROLES or len(key) < MIN_KEY_LENGTH:
                too_short = f"shorter than {MIN_KEY_LENGTH} characters"
                reason = too_short if role in _ROLES else "its name is not a role"
                _log.error("key file ignored", file=file, reason=reason)
                continue
            caller = Caller(Role(role), name or role)
            keys.append(_Key(caller, _digest(key)))
            own = own or (key if caller.role is Role.INTERNAL else "")
        self._keys, self._own = tuple(keys), own
        _log.info("API keys loaded", names=[f"{k.caller.role.value}:{k.caller.name}" for k in keys])


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
