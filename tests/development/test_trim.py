"""Shared objects lose what no running program reads, and work as before."""

import shutil
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "requirements" / "trim.py"
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENTS_AT = HEADER.size
CODE = b"code" * 16


def trim(folder: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, folder], check=True)


def elf(after: bytes) -> bytes:
    """An ELF file with one segment, and a table of sections in what follows it."""
    code_at = SEGMENTS_AT + 56
    segment = struct.pack("<IIQQQQQQ", 1, 5, code_at, 0, 0, len(CODE), len(CODE), 8)
    sections_at = code_at + len(CODE)
    header = HEADER.pack(
        b"\x7fELF\x02\x01\x01" + bytes(9), 3, 62, 1, 0, SEGMENTS_AT, sections_at, 0,
        HEADER.size, 56, 1, 64, 5, 4,
    )  # fmt: skip
    return header + segment + CODE + after


def test_what_follows_the_last_segment_is_removed_with_the_table_of_sections(
    tmp_path: Path,
) -> None:
    library = tmp_path / "deep" / "library.so.3"
    library.parent.mkdir()
    library.write_bytes(elf(b"symbols and debug information"))
    library.chmod(0o755)
    trim(tmp_path)
    content = library.read_bytes()
    assert content.endswith(CODE)
    fields = HEADER.unpack_from(content)
    assert (fields[6], fields[12], fields[13]) == (0, 0, 0)
    assert library.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("content", [elf(b""), b"\x7fELF\x01\x01 32 bits", b"a script", b""])
def test_a_file_with_nothing_to_remove_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    library = tmp_path / "library.so"
    library.write_bytes(content)
    before = library.stat().st_ino
    trim(tmp_path)
    assert library.read_bytes() == content
    assert library.stat().st_ino == before


def test_a_file_that_another_environment_shares_is_not_changed_there(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_bytes(elf(b"symbols"))
    (tmp_path / "library.so").hardlink_to(shared)
    trim(tmp_path)
    assert shared.read_bytes() == elf(b"symbols")


def test_a_trimmed_extension_still_runs(tmp_path: Path) -> None:
    found = find_spec("uvloop")
    assert found is not None
    assert found.origin is not None
    shutil.copytree(Path(found.origin).parent, tmp_path / "uvloop")
    trim(tmp_path)
    program = (
        "import asyncio, uvloop; assert uvloop.__file__.startswith({!r}), uvloop.__file__; "
        "print(uvloop.run(asyncio.sleep(0, 'runs')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
         + program.format(str(tmp_path))],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.strip() == "runs"
