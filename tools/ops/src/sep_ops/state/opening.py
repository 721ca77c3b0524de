"""Opens a backup, and tries it: every member is read, and loaded where it can do no harm."""

from pathlib import Path

from sep_kit.store.records import KillSwitchChange

from sep_ops.state import archive, encryption
from sep_ops.state.encryption import Identity
from sep_ops.state.errors import StateError, UnusableError
from sep_ops.state.journal import load_journal
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import open_store, version_of, write_bulk, write_state

TRIAL_JOURNAL = "trial.db"


def open_backup(
    file: Path, identities: list[Identity], work: Path
) -> tuple[archive.Manifest, Path]:
    """Decrypt, unpack and check a backup.

    Returns:
        Its manifest, and the folder of its members.

    Raises:
        UnusableError: wrong key, damaged, not whole, or of a newer release.
        StateError: the file can't be read, or needs a key and none was named.
    """
    members = work / "members"
    members.mkdir()
    try:
        encrypted = encryption.is_encrypted(file)
    except OSError as error:
        raise StateError(f"can't read {file}: {error.strerror}") from error
    plain = file
    if encrypted:
        if not identities:
            raise StateError(f"{file.name} is encrypted: name the key's file with --identity")
        plain = work / file.name.removesuffix(encryption.SUFFIX)
        encryption.decrypt(file, plain, identities)
    manifest = archive.unpack(plain, members)
    if encrypted:
        plain.unlink()
    return manifest, members


def check_valkey(version: str, manifest: archive.Manifest) -> None:
    """Refuse a Valkey that is older than the backup's.

    Raises:
        UnusableError: it is.
    """
    if archive.minor(version) < archive.minor(manifest.valkey_version):
        raise UnusableError(
            f"the backup is of Valkey {manifest.valkey_version}, this one is {version}: an older "
            "Valkey can't read it; use that version or a newer one"
        )


def load_into(
    url: str, manifest: archive.Manifest, members: Path, halt: KillSwitchChange | None = None
) -> int:
    """Replace a Valkey's keys by the backup's; returns how many there are afterwards.

    Raises:
        UnusableError: it is older than the backup's, or can't read a value.
        StateError: it does not answer.
    """
    try:
        with open_store(url) as client:
            check_valkey(version_of(client), manifest)
            write_state(client, archive.read_entries(members / archive.STATE), halt)
            if archive.BULK in manifest.members:
                write_bulk(client, archive.read_entries(members / archive.BULK))
            return int(client.dbsize())
    except (ValueError, EOFError, OSError) as error:
        raise UnusableError(f"the backup has a malformed member: {error}") from error


def try_backup(manifest: archive.Manifest, members: Path, work: Path) -> int:
    """Load all of it into a Valkey and a database of its own; returns the number of keys.

    Raises:
        UnusableError: a part of it can't be loaded.
    """
    with EmbeddedValkey(work / "trial", append_only=False) as server:
        keys = load_into(server.url, manifest, members)
    if archive.JOURNAL in manifest.members:
        url = f"sqlite:///{work / TRIAL_JOURNAL}"
        load_journal(url, members / archive.JOURNAL, replace=False)
    return keys
