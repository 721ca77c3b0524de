"""Writes an older backup again as this release writes it, or under another key."""

from pathlib import Path

from sep_ops.state import archive
from sep_ops.state.backup import describe_members, write_file
from sep_ops.state.encryption import Identity, Recipient
from sep_ops.state.journal import dump_journal, load_journal
from sep_ops.state.opening import load_into, open_backup
from sep_ops.state.place import Place
from sep_ops.state.server import EmbeddedValkey
from sep_ops.state.store import open_store, read_bulk, read_state, version_of


def migrate_backup(
    place: Place,
    file: Path,
    folder: Path,
    *,
    identities: list[Identity],
    recipients: list[Recipient],
) -> tuple[Path, archive.Manifest]:
    """Load a backup as a restore would, and write what came of it as a new one in a folder.

    The moment of the state stays, and so does the name. Keys whose time has ended are left out.

    Raises:
        RefusedError: the folder has a backup of that name.
        UnusableError: the backup can't be used.
        StateError: something can't be read or written.
    """
    with place.work_folder() as work:
        old, members = open_backup(file, identities, work)
        fresh = work / "fresh"
        fresh.mkdir()
        with EmbeddedValkey(work / "trial", append_only=False) as server:
            load_into(server.url, old, members)
            with open_store(server.url) as client:
                version = version_of(client)
                state = read_state(client, candles=True)
                keys = archive.write_entries(fresh / archive.STATE, state)
                keys += archive.write_entries(fresh / archive.BULK, read_bulk(client, candles=True))
        if archive.JOURNAL in old.members:
            url = f"sqlite:///{work / 'journal.db'}"
            load_journal(url, members / archive.JOURNAL, replace=False)
            dump_journal(url, fresh / archive.JOURNAL)
        manifest = describe_members(fresh, version, old.made_ms, keys, candles=old.candles)
        return write_file(work, fresh, manifest, folder, recipients), manifest
