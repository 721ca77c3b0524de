"""A base image made from files of this machine; nothing is pulled or downloaded."""

import io
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

VENV = Path("/opt/python")
PATH = f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WHEELHOUSE = Path("/wheelhouse")

_COMMANDS = (
    *("sh", "bash", "cat", "chmod", "chown", "cp", "env", "id", "install", "ls", "mkdir", "mv"),
    *("rm", "sleep", "true", "useradd"),
)
# Libraries that wheels load and that none of the programs links to.
_LIBRARIES = {
    *("libdl.so.2", "libm.so.6", "libnss_dns.so.2", "libnss_files.so.2", "libpthread.so.0"),
    *("libresolv.so.2", "librt.so.1", "libutil.so.1", "libgcc_s.so.1", "libstdc++.so.6"),
}
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo"}
_FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "/etc/group": "root:x:0:\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\n",
    "/etc/login.defs": "UID_MAX 60000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n",
    "/usr/sbin/nologin": "#!/bin/sh\nexit 1\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/etc/pip.conf": f"[global]\nno-index = true\nfind-links = {WHEELHOUSE}\n",
    f"{VENV}/bin/pip": f'#!/bin/sh\nexec {VENV}/bin/python -m pip "$@"\n',
}


class Tree:
    """A root file system, written as a tar archive."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._seen: set[str] = set()

    def directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory; its permissions on this machine don't matter."""
        info = tarfile.TarInfo(path.lstrip("/"))
        info.type, info.mode = tarfile.DIRTYPE, mode
        self._add(info)

    def text(self, path: str, text: str, mode: int = 0o644) -> None:
        """Add a file with this text."""
        info = tarfile.TarInfo(path.lstrip("/"))
        info.size, info.mode = len(text), mode
        self._add(info, io.BytesIO(text.encode()))

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        info = tarfile.TarInfo(path.lstrip("/"))
        info.type, info.linkname = tarfile.SYMTYPE, target
        self._add(info)

    def file(self, source: Path, at: Path | None = None) -> None:
        """Add a file of this machine; for a symbolic link its target, too."""
        real = source.resolve()
        place = at or source.parent.resolve() / source.name
        if at is None and place != real:
            self.link(str(place), str(real))
            place = real
        info = tarfile.TarInfo(str(place).lstrip("/"))
        info.size = real.stat().st_size
        info.mode = 0o755 if os.access(real, os.X_OK) else 0o644
        with real.open("rb") as content:
            self._add(info, content)

    def files(self, folder: Path, at: Path | None = None) -> None:
        """Add all files under a folder, without caches and tests."""
        for path in sorted(_walk(folder)):
            self.file(path, at / path.relative_to(folder) if at else None)

    def _add(self, info: tarfile.TarInfo, content: io.IOBase | None = None) -> None:
        if info.name in self._seen:
            return
        parent = str(Path(info.name).parent)
        if parent != "." and parent not in self._seen:
            self.directory(parent)
        self._seen.add(info.name)
        self._archive.addfile(info, content)


def write_base(path: Path, wheelhouse: Path) -> None:
    """Write a root file system with this Python, a shell, coreutils and a wheelhouse."""
    prefix = Path(sys.base_prefix).resolve()
    python = prefix / "bin" / f"python{sysconfig.get_python_version()}"
    library = Path(sysconfig.get_path("stdlib"))
    commands = [Path(found) for name in _COMMANDS if (found := shutil.which(name))]
    extensions = list((library / "lib-dynload").glob("*.so"))
    with tarfile.open(path, "w") as archive:
        tree = Tree(archive)
        for name in ("bin", "sbin", "lib", "lib64"):
            if Path("/", name).is_symlink():
                tree.link(f"/{name}", f"usr/{name}")
        for name in ("/proc", "/sys", "/dev", "/run", "/var", "/etc"):
            tree.directory(name)
        tree.directory("/tmp", 0o1777)
        for name, text in _FILES.items():
            tree.text(name, text, 0o755 if "bin/" in name else 0o644)
        for file in (*commands, python, *_libraries([python, *commands, *extensions])):
            tree.file(file)
        tree.files(library)
        _add_venv(tree, python)
        tree.files(wheelhouse, WHEELHOUSE)


def programs_with_libraries(programs: Iterable[Path]) -> list[Path]:
    """The programs and the libraries that they link to."""
    found = list(programs)
    return [*found, *_libraries(found)]


def _add_venv(tree: Tree, python: Path) -> None:
    # A virtual environment, so that the restrictions of a distribution's Python don't apply.
    version = sysconfig.get_python_version()
    tree.text(
        f"{VENV}/pyvenv.cfg", f"home = {python.parent}\ninclude-system-site-packages = false\n"
    )
    tree.link(f"{VENV}/bin/python", str(python))
    packages = Path(sysconfig.get_path("purelib"))
    tree.files(packages / "pip", VENV / "lib" / f"python{version}" / "site-packages" / "pip")


def _walk(folder: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        names[:] = [n for n in names if n not in _SKIPPED and n != "__pycache__"]
        yield from (Path(directory, name) for name in files if not name.endswith((".a", ".pyc")))


def _libraries(programs: Iterable[Path]) -> list[Path]:
    output = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    words = [line.split() for line in output.splitlines()]
    found = {Path(w) for line in words for w in line if w.startswith("/") and not w.endswith(":")}
    cache = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for line in cache.stdout.splitlines():
        name, _, path = line.strip().partition(" ")
        if name in _LIBRARIES and "x86-64" in path:
            found.add(Path(path.rpartition(" ")[2]))
    return sorted(found)
