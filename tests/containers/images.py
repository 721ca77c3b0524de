"""The images that compose.yaml would pull, built from files of this machine."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from sep_local.binaries import envoy_binary, valkey_binary

from tests.containers.engine import Engine
from tests.containers.machine import PATH, programs_with_libraries, write_base

ROOT = Path(__file__).parents[2]
PYTHON = sysconfig.get_python_version()
BASE = f"python:{PYTHON}-slim"

# The wheel has no valkey-cli. This replacement sends the PING of the health check.
_VALKEY_CLI = """\
#!/bin/bash
exec 3<>/dev/tcp/127.0.0.1/6379 || exit 1
printf 'PING\\r\\n' >&3
read -r -t 2 answer <&3
echo "$answer"
[[ $answer == +PONG* ]]
"""


def build_wheelhouse(folder: Path) -> Path:
    """Everything that the Dockerfile installs, with the digests that it will compare.

    The only step that may use the network. The folder is reused while the lists are the same.
    """
    lists = [ROOT / "requirements" / "locked" / f"{name}.txt" for name in ("run", "build")]
    content = "".join(path.read_text() for path in lists)
    digest = hashlib.sha256(f"{PYTHON} {content}".encode()).hexdigest()[:12]
    wheelhouse = folder / f"wheelhouse-{digest}"
    if not wheelhouse.exists():
        partial = wheelhouse.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        for path in lists:
            chosen = ["--require-hashes", "--dest", str(partial), "--requirement", str(path)]
            subprocess.run([*command, *chosen], check=True, timeout=300)
        partial.rename(wheelhouse)
    return wheelhouse


def load_images(engine: Engine, wheelhouse: Path, *, prometheus: str) -> None:
    """Build every third-party image under the name that compose.yaml uses."""
    compose = (ROOT / "compose.yaml").read_text()
    _load_base(engine, wheelhouse)
    _load(
        engine,
        _image(compose, "envoyproxy/envoy"),
        {"/usr/local/bin/envoy": envoy_binary()},
        user="101:101",
    )
    cli = engine.home / "valkey-cli"
    cli.write_text(_VALKEY_CLI)
    cli.chmod(0o755)
    _load(
        engine,
        _image(compose, "valkey/valkey"),
        {"/usr/local/bin/valkey-server": valkey_binary(), "/usr/local/bin/valkey-cli": cli},
        user="999:999",
        state_folder="/data",
    )
    if prometheus:
        programs = {f"/usr/bin/{name}": Path(prometheus, name) for name in _PROMETHEUS}
        _load(
            engine,
            _image(compose, "prom/prometheus"),
            programs,
            user="65534:65534",
            state_folder="/prometheus",
            entrypoint="/usr/bin/prometheus",
        )


_PROMETHEUS = ("prometheus", "promtool")


def prometheus_folder() -> str:
    """The folder of prometheus and promtool, or "" if they are not both installed."""
    found = [shutil.which(name) for name in _PROMETHEUS]
    return str(Path(found[0]).parent) if all(found) and found[0] else ""


def _load_base(engine: Engine, wheelhouse: Path) -> None:
    # A persistent engine must get the same base again, or every cached layer would be rebuilt.
    mark = engine.home / f"base-{wheelhouse.name}"
    known = engine.run(["docker", "image", "inspect", BASE]).returncode == 0
    if mark.exists() and known:
        return
    archive = engine.home / "base.tar"
    write_base(archive, wheelhouse)
    engine.docker("import", "--change", f"ENV PATH={PATH}", str(archive), BASE)
    archive.unlink()
    mark.touch()


def _load(
    engine: Engine,
    image: str,
    programs: dict[str, Path],
    *,
    user: str,
    state_folder: str = "",
    entrypoint: str = "",
) -> None:
    context = engine.home / "image"
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir()
    lines = [f"FROM {BASE}"]
    for place, program in programs.items():
        libraries = [p for p in programs_with_libraries([program]) if p != program]
        for source, target in [(program, place), *((p, str(p)) for p in libraries)]:
            copied = context / target.lstrip("/")
            copied.parent.mkdir(parents=True, exist_ok=True)
            if not copied.exists():
                _link_or_copy(source.resolve(), copied)
    lines.append("COPY usr /usr")
    if state_folder:
        owner, _, group = user.partition(":")
        lines.append(f"RUN install --directory --owner={owner} --group={group} {state_folder}")
        lines.append(f"WORKDIR {state_folder}")
    lines.append(f"USER {user}")
    if entrypoint:
        lines.append(f'ENTRYPOINT ["{entrypoint}"]')
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    engine.docker("build", "--quiet", "--network=none", "--tag", image, str(context))
    shutil.rmtree(context)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _image(compose: str, name: str) -> str:
    found = re.search(rf"image: \$\{{\w+:-({re.escape(name)}:[^\s}}]+)\}}", compose)
    assert found, f"compose.yaml names no image {name}"
    return found.group(1)
