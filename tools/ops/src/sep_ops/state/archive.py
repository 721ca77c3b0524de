"""The file of a backup: a tar with a manifest and gzipped members, encrypted or not."""

import base64
import gzip
import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import sep_kit
from pydantic import BaseModel, ConfigDict, ValidationError

from sep_ops.state.errors import UnusableError
from sep_ops.state.store import Entry

FORMAT = 1
MANIFEST, MANIFEST_DIGEST = "manifest.json", "manifest.sha256"
STATE, BULK, JOURNAL = "state.jsonl.gz", "bulk.jsonl.gz", "journal.jsonl.gz"
_MEMBERS = (STATE, BULK, JOURNAL)
_CHUNK = 1 << 20


class Member(BaseModel):
    """Size in bytes and digest of a member."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


class Manifest(BaseModel):
    """What a backup holds; ``made_ms`` is the moment of its state."""

    model_config = ConfigDict(frozen=True)

    format: int
    sep_version: str
    valkey_version: str
    made_ms: int
    keys: int
    candles: bool
    members: dict[str, Member]


def write_entries(path: Path, entries: Iterable[Entry]) -> int:
    """Write keys as gzipped JSON lines; returns how many."""
    count = 0
    with gzip.open(path, "xb", compresslevel=3) as out:
        for count, entry in enumerate(entries, start=1):  # noqa: B007
            line = [_text(entry.key), entry.expires_ms, _text(entry.value)]
            out.write(json.dumps(line).encode() + b"\n")
    return count


def read_entries(path: Path) -> Iterator[Entry]:
    """The keys of a member."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            key, expires_ms, value = json.loads(line)
            yield Entry(base64.b64decode(key), expires_ms, base64.b64decode(value))


def describe(path: Path) -> Member:
    """Size and digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Member(size=path.stat().st_size, sha256=digest)


def pack(folder: Path, manifest: Manifest, out: Path) -> None:
    """Write the members of a folder into one new file, the manifest first."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    (folder / MANIFEST_DIGEST).write_text(_digest_line(folder / MANIFEST))
    with tarfile.open(out, "x", format=tarfile.PAX_FORMAT) as tar:
        for name in (MANIFEST, MANIFEST_DIGEST, *manifest.members):
            tar.add(folder / name, arcname=name, filter=_anonymous)


def unpack(file: Path, folder: Path) -> Manifest:
    """Write the members into a folder, and hold each against the manifest.

    Raises:
        UnusableError: damaged, not whole, or of a newer release.
    """
    try:
        with tarfile.open(file, "r:") as tar:
            for info in tar:
                if not info.isfile() or info.name not in (MANIFEST, MANIFEST_DIGEST, *_MEMBERS):
                    raise UnusableError(f"{file.name} has a member of another kind: {info.name!r}")
                _write_member(tar, info, folder / info.name)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnusableError(f"{file.name} is damaged, not whole or no backup: {error}") from error
    manifest = _read_manifest(folder / MANIFEST, file.name)
    for name, member in manifest.members.items():
        if not (folder / name).is_file() or describe(folder / name) != member:
            raise UnusableError(f"{file.name} is damaged: {name} is not what its manifest says")
    return manifest


def _digest_line(manifest: Path) -> str:
    """As ``sha256sum`` writes and checks it."""
    return f"{describe(manifest).sha256}  {MANIFEST}\n"


def _read_manifest(path: Path, name: str) -> Manifest:
    try:
        if path.with_name(MANIFEST_DIGEST).read_text() != _digest_line(path):
            raise UnusableError(f"{name} is damaged: its manifest is not what was written")
        raw = json.loads(path.read_bytes())
        found = raw["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableError(f"{name} has no manifest that can be read") from error
    if not isinstance(found, int) or found > FORMAT:
        raise UnusableError(
            f"{name} has format {found!r}; this release reads {FORMAT} and older: use the release "
            f"that made it ({raw.get('sep_version', 'unknown')}) or a newer one"
        )
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise UnusableError(f"{name} has a damaged manifest: {error.errors()[0]['msg']}") from error
    if minor(manifest.sep_version) > minor(sep_kit.__version__):
        raise UnusableError(
            f"{name} was made by SEP {manifest.sep_version}, this is {sep_kit.__version__}: an "
            "older release does not read what a newer one wrote; install that one or a newer one"
        )
    if set(manifest.members) - set(_MEMBERS) or STATE not in manifest.members:
        raise UnusableError(f"{name} has a manifest of another kind")
    return manifest


def minor(version: str) -> tuple[int, ...]:
    """Major and minor number of a version.

    Raises:
        UnusableError: it is none.
    """
    try:
        major, small = version.split(".")[:2]
        return int(major), int(small)
    except ValueError as error:
        raise UnusableError(f"{version!r} is not a version") from error


def _write_member(tar: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> None:
    source = tar.extractfile(info)
    if source is None:
        raise UnusableError(f"the member {info.name} can't be read")
    with source, path.open("xb") as out:
        while chunk := source.read(_CHUNK):
            out.write(chunk)


def _anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def publish(finished: Path, name: Path) -> None:
    """Give a finished file its name, for good: on disk, readable by its owner only."""
    finished.chmod(0o600)
    sync(finished)
    finished.rename(name)
    sync(name.parent)


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
