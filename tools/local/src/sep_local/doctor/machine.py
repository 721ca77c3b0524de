"""Looks at this machine; ``findings`` judges what was seen."""

import fcntl
import http.client
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import urlsplit

from sep_kit.clock import Clock, now_ms

from sep_local.binaries import envoy_binary, valkey_binary
from sep_local.doctor.findings import Broker, KeyFile, Machine
from sep_local.errors import StackError
from sep_local.key_files import SERVICES
from sep_local.ports import check_ports
from sep_local.settings import LocalSettings

_TIMEOUT_S = 10.0
_NUMBERS = re.compile(r"\d+\.\d+\.\d+")
_OLDEST_PYTHON = (3, 11)
_HALF_A_SECOND = 0.5
"""The broker's header has whole seconds, so its clock is that much later on average."""
_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
_PROGRAMS: Mapping[str, Callable[[], Path]] = {"envoy": envoy_binary, "valkey": valkey_binary}


def observe(
    settings: LocalSettings, env: Mapping[str, str], broker_url: str | None, clock: Clock
) -> Machine:
    """Everything that the findings are made from. Writes nothing and starts no part.

    Args:
        env: the settings of the services; the broker's token is read from it.
        broker_url: base of the broker's REST API; None on paper.
    """
    running = is_locked(settings.run_dir / "lock")
    programs = {name: _version(find) for name, find in _PROGRAMS.items()}
    keys = key_files(settings.keys_dir)
    names = {key.name for key in keys or ()}
    return Machine(
        run_dir=str(settings.run_dir),
        keys_dir=str(settings.keys_dir),
        running=running,
        disk_free=disk_free(settings.run_dir),
        memory_free=memory_free(_PROC),
        memory_limit=memory_limit(_CGROUP),
        busy_ports=() if running else busy_ports(settings),
        keys=keys,
        missing_keys=tuple(
            f"internal.{name}" for name in SERVICES if f"internal.{name}" not in names
        ),
        versions=installed_versions(),
        python=platform.python_version(),
        python_supported=sys.version_info >= _OLDEST_PYTHON,
        architecture=platform.machine().lower(),
        programs={name: words for name, (words, _) in programs.items()},
        broken=tuple(name for name, (_, works) in programs.items() if not works),
        broker=None if broker_url is None else ask(broker_url, env.get("OANDA_API_TOKEN"), clock),
    )


def is_locked(path: Path) -> bool:
    """Whether a supervisor holds the lock of a run directory."""
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def disk_free(run_dir: Path) -> int | None:
    """Bytes that are free where the run directory is or will be."""
    for folder in (run_dir, *run_dir.parents):
        if folder.is_dir():
            try:
                return shutil.disk_usage(folder).free
            except OSError:
                return None
    return None


def memory_free(proc: Path) -> int | None:
    """Bytes that programs may still use without pressure; None where the kernel does not say."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        (kib,) = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(kib) * 1024
    except (OSError, ValueError, IndexError):
        return None


def memory_limit(cgroup: Path) -> int | None:
    """What is left of the control group's limit; None without one."""
    try:
        limit = int((cgroup / "memory.max").read_text())
        return max(0, limit - int((cgroup / "memory.current").read_text()))
    except (OSError, ValueError):  # "max" is no number
        return None


def busy_ports(settings: LocalSettings) -> tuple[str, ...]:
    """What is wrong with each port that the stack could not listen on."""
    faults = []
    for setting, address in settings.listeners().items():
        try:
            check_ports({setting: address})
        except StackError as error:
            faults.append(error.faults[0])
    return tuple(faults)


def key_files(folder: Path) -> tuple[KeyFile, ...] | None:
    """The files in the folder of keys; None if it can't be read or is not there."""
    try:
        files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        states = [(path.name, path.stat()) for path in files]
    except OSError:
        return None
    return tuple(
        KeyFile(name=name, mode=state.st_mode & 0o777, size=state.st_size) for name, state in states
    )


def installed_versions() -> dict[str, str]:
    """Version by name of each installed package of this project."""
    return {
        name: package.version
        for package in distributions()
        if (name := package.metadata["Name"] or "").startswith("sep-")
    }


def ask(url: str, token: str | None, clock: Clock) -> Broker:
    """One request to the broker: with the token if there is one, else only to see an answer."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", "/v3/accounts", headers=headers)
        answer = connection.getresponse()
        now_s, date = now_ms(clock) / 1000, answer.headers.get("Date")
    except ssl.SSLCertVerificationError as error:
        return Broker(url=url, status=None, error=f"certificate: {error.verify_message}")
    except (OSError, http.client.HTTPException) as error:
        return Broker(url=url, status=None, error=str(error) or type(error).__name__)
    finally:
        connection.close()
    # Without a token a refusal is an answer like any other.
    refused = answer.status in {401, 403}
    return Broker(
        url=url,
        status=200 if refused and not token else answer.status,
        ahead_s=_ahead(now_s, date),
    )


def _ahead(now_s: float, date: str | None) -> float | None:
    try:
        broker_s = parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return None
    return now_s - broker_s - _HALF_A_SECOND


def _version(find: Callable[[], Path]) -> tuple[str, bool]:
    """The version that a program prints, or what is wrong with it; and whether it works."""
    try:
        path = find()
        done = subprocess.run(  # noqa: S603  a program of an installed package
            [path, "--version"], capture_output=True, text=True, timeout=60, check=True,
            env={"PATH": os.defpath},
        )  # fmt: skip
    except StackError as error:
        return error.headline, False
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not run: {error}", False
    version = _NUMBERS.search(done.stdout)
    return version[0] if version else "works", True
