"""Text files in the forms that exist: plain, gzip or zip; UTF-8 or UTF-16; any line ending."""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from sep_data.errors import FileRefusedError

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_TEXT = (".csv", ".txt", ".json", ".tsv", ".prn")
_SUFFIXES = (".csv", ".json", ".tsv", ".gz", ".zip")


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The paths, a folder replaced by the files in it.

    Raises:
        FileRefusedError: a folder holds no text file or archive.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [p for p in sorted(path.iterdir()) if p.name.lower().endswith(_SUFFIXES)]
        if not inside:
            raise FileRefusedError(path, None, f"holds no {', '.join(_SUFFIXES)} file")
        found += inside
    return found


def sha256_of(path: Path) -> str:
    """The digest of a file as it lies on disk.

    Raises:
        FileRefusedError: it can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileRefusedError(path, None, f"can't be read: {error.strerror}") from None


def read_text(path: Path) -> str:
    """The text of a file; of an archive, its one text file.

    Raises:
        FileRefusedError: it can't be read, is empty, is no text, or is an archive of several.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FileRefusedError(path, None, f"can't be read: {error.strerror}") from None
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise FileRefusedError(path, None, f"is a damaged gzip file: {error}") from None
    elif raw[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        raw = _unzip(path, raw)
    encoding = next((name for bom, name in _BOMS if raw.startswith(bom)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileRefusedError(path, line, f"is not {encoding} text") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise FileRefusedError(path, line, "holds a NUL byte: it is no text")
    if not text.strip():
        raise FileRefusedError(path, None, "is empty")
    return text


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Each line that is not blank, with its number from 1."""
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if line and not line.isspace():
            yield number, line


def _unzip(path: Path, raw: bytes) -> bytes:
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            names = [n for n in archive.namelist() if n.lower().endswith(_TEXT)]
            # Sites add a text file of remarks beside the one data file.
            data = [n for n in names if not n.lower().endswith(".txt")] or names
            if len(data) != 1:
                found = ", ".join(data) or "none"
                raise FileRefusedError(
                    path, None, f"an archive must hold one data file, this one holds {found}"
                )
            return archive.read(data[0])
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        raise FileRefusedError(path, None, f"is a damaged zip file: {error}") from None
