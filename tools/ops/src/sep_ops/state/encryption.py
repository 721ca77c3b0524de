"""Encryption of backups in the format of age (age-encryption.org): ``age`` reads them too.

A backup is encrypted to recipients, which are public: making one needs no secret.
"""

import os
from pathlib import Path
from typing import Any, TypeAlias

import pyrage

from sep_ops.state.errors import RefusedError, StateError, UnusableError

SUFFIX = ".age"
# The library has no types.
Recipient: TypeAlias = Any
Identity: TypeAlias = Any


def make_key(path: Path) -> str:
    """Write a new identity, and its recipient beside it (``.pub``); returns the recipient.

    Raises:
        RefusedError: the file exists.
        StateError: it can't be written.
    """
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise RefusedError(f"{path} exists; what was encrypted to it needs it") from error
    except OSError as error:
        raise StateError(f"can't write {path}: {error.strerror}") from error
    with os.fdopen(file, "w") as out:
        out.write(f"# public key: {recipient}\n{identity}\n")
        out.flush()
        os.fsync(out.fileno())
    path.with_name(f"{path.name}.pub").write_text(f"{recipient}\n")
    return recipient


def read_recipients(path: Path) -> list[Recipient]:
    """The recipients of a file, one a line.

    Raises:
        StateError: it can't be read, or has a line that is none.
    """
    try:
        return [pyrage.x25519.Recipient.from_str(line) for line in _lines(path)]
    except pyrage.RecipientError as error:
        raise StateError(f"{path}: a line is not an age recipient (age1...)") from error


def read_identities(path: Path) -> list[Identity]:
    """The identities of a file, one a line.

    Raises:
        StateError: it can't be read, others than its owner may read it, or a line is none.
    """
    lines = _lines(path)
    if path.stat().st_mode & 0o077:
        raise StateError(f"others may read the key {path}: run `chmod 600 {path}`")
    try:
        return [pyrage.x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError as error:
        raise StateError(f"{path}: a line is not an age identity (AGE-SECRET-KEY-...)") from error


def encrypt(plain: Path, out: Path, recipients: list[Recipient]) -> None:
    """Encrypt a file into a new one."""
    with plain.open("rb") as source, out.open("xb") as target:
        pyrage.encrypt_io(source, target, recipients)


def is_encrypted(path: Path) -> bool:
    """Whether a file begins as age's format does."""
    with path.open("rb") as file:
        return file.read(21) == b"age-encryption.org/v1"


def decrypt(encrypted: Path, out: Path, identities: list[Identity]) -> None:
    """Decrypt a file into a new one.

    Raises:
        UnusableError: another key was used, or the file is damaged or not whole.
    """
    with encrypted.open("rb") as source, out.open("xb") as target:
        try:
            pyrage.decrypt_io(source, target, identities)
        except (pyrage.DecryptError, OSError) as error:
            raise UnusableError(
                f"{encrypted.name} can't be decrypted: another key, damaged, or not whole ({error})"
            ) from error


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"can't read {path}: {error}") from error
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise StateError(f"{path} holds no key")
    return found
