"""Remove symbols and debug information from the installed shared objects: 40 of 470 MB.

The dynamic loader reads the segments of an ELF file, and its dynamic symbols are in one of them.
What follows the last segment (symbols for debuggers, debug information, the table of sections) is
never read by a running program. This is what ``strip`` does, without needing binutils. Digests are
checked before, when pip installs.

    python requirements/trim.py [FOLDER]    the packages of this interpreter, or those in a folder
"""

import struct
import sys
import sysconfig
import tempfile
from pathlib import Path

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
# Fields of the header.
_PROGRAM_OFFSET, _SECTION_OFFSET = 5, 6
_PROGRAM_SIZE, _PROGRAM_COUNT, _SECTION_COUNT, _SECTION_NAMES = 9, 10, 12, 13
# Offset and length of a segment in the file, in its program header.
_SEGMENT = struct.Struct("<8xQ16xQ")


def trimmed(content: bytes) -> bytes:
    """The file without what follows its last segment; the content itself where nothing does."""
    if not content.startswith(_ELF64_LITTLE) or len(content) < _HEADER.size:
        return content
    header = list(_HEADER.unpack_from(content))
    first, size, count = (header[n] for n in (_PROGRAM_OFFSET, _PROGRAM_SIZE, _PROGRAM_COUNT))
    ends = [first + size * count]
    for number in range(count):
        offset, length = _SEGMENT.unpack_from(content, first + number * size)
        ends.append(offset + length)
    end = max(ends)
    if count == 0 or end >= len(content):
        return content
    for field in (_SECTION_OFFSET, _SECTION_COUNT, _SECTION_NAMES):
        header[field] = 0
    return _HEADER.pack(*header) + content[_HEADER.size : end]


def trim(folder: Path) -> int:
    """Trim every shared object in a folder; returns the number of bytes that were removed."""
    saved = 0
    for path in sorted(folder.rglob("*.so*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        smaller = trimmed(content)
        if len(smaller) == len(content):
            continue
        # A new file in its place: the old one may be in use, or linked from another environment.
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as new:
            new.write(smaller)
        written = Path(new.name)
        written.chmod(path.stat().st_mode)
        written.replace(path)
        saved += len(content) - len(smaller)
    return saved


if __name__ == "__main__":
    trim(Path(sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("platlib")))
