"""Judges what was seen of a machine. Pure: ``machine`` observes, and nothing here does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

GIB = 1 << 30
DISK_FAULT, DISK_WARNING = 1 * GIB, 5 * GIB
"""Valkey stops writing on a full disk, and then nothing opens a position."""
MEMORY_FAULT, MEMORY_WARNING = int(0.75 * GIB), int(1.2 * GIB)
"""What must be free before a start: practice with eight pairs takes about 0.75 GiB."""
SKEW_FAULT_S, SKEW_WARNING_S = 10.0, 2.0
"""From two seconds on SepBrokerClockSkew fires."""
KEY_MODE = 0o077
MACHINES = ("x86_64", "aarch64", "arm64")


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        advice: what to do; empty if there is nothing to do.
    """

    check: str
    level: Level
    observed: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """A file in the folder of API keys: its permission bits, and its size in bytes."""

    name: str
    mode: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Broker:
    """An answer of the broker's API, or why there was none.

    Attributes:
        status: HTTP status; None without an answer.
        error: why there was none.
        ahead_s: seconds by which this machine's clock is ahead of the broker's; None if unknown.
    """

    url: str
    status: int | None
    error: str = ""
    ahead_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What was seen. None stands for what can't be read here.

    Attributes:
        run_dir: where state and logs are.
        running: whether a stack runs on that directory.
        disk_free, memory_free, memory_limit: bytes; the limit is that of the control group.
        busy_ports: what is wrong with each port that can't be listened on.
        keys: the files in the folder of keys; None if there is no such folder yet.
        missing_keys: names of key files that a stack makes and that are not there.
        versions: version by installed package of this project.
        python: such as "3.13.1"; whether it is new enough is for ``python_supported``.
        programs: version, or what is wrong, by server program; ``broken`` names the latter.
        broker: None on paper, which has a broker of its own.
    """

    run_dir: str
    keys_dir: str
    running: bool
    disk_free: int | None
    memory_free: int | None
    memory_limit: int | None
    busy_ports: tuple[str, ...]
    keys: tuple[KeyFile, ...] | None
    missing_keys: tuple[str, ...]
    versions: dict[str, str]
    python: str
    python_supported: bool
    architecture: str
    programs: dict[str, str]
    broken: tuple[str, ...]
    broker: Broker | None


def examine(machine: Machine) -> list[Finding]:
    """One finding for each check, in the order in which an operator would look."""
    checks: tuple[Callable[[Machine], Finding], ...] = (
        _disk,
        _memory,
        _clock,
        _ports,
        _keys,
        _versions,
        _wheels,
        _broker,
    )
    return [check(machine) for check in checks]


def _disk(machine: Machine) -> Finding:
    place = f"in {machine.run_dir}"
    advice = "free some, or set SEP_RUN_DIR to a larger disk"
    return _amount("disk", machine.disk_free, place, (DISK_FAULT, DISK_WARNING), advice)


def _memory(machine: Machine) -> Finding:
    known = [v for v in (machine.memory_free, machine.memory_limit) if v is not None]
    if machine.running:
        return Finding(check="memory", level=Level.OK, observed="a stack runs: not judged")
    advice = "stop other programs, use fewer pairs (HOTBAND_PAIRS), or a larger machine"
    limits = (MEMORY_FAULT, MEMORY_WARNING)
    return _amount("memory", min(known, default=None), "of memory", limits, advice)


def _amount(
    check: str, free: int | None, place: str, limits: tuple[int, int], advice: str
) -> Finding:
    if free is None:
        return Finding(
            check=check, level=Level.WARNING, observed="can't be read", advice="look at it by hand"
        )
    level = _level(-free, -limits[0], -limits[1])
    observed = f"{free / GIB:.1f} GiB free {place}"
    return Finding(
        check=check, level=level, observed=observed, advice="" if level is Level.OK else advice
    )


def _clock(machine: Machine) -> Finding:
    ahead = machine.broker.ahead_s if machine.broker else None
    if ahead is None:
        words = "no broker's clock to compare with"
        advice = "" if machine.broker is None else "see the finding on the broker"
        level = Level.OK if machine.broker is None else Level.WARNING
        return Finding(check="clock", level=level, observed=words, advice=advice)
    level = _level(abs(ahead), SKEW_FAULT_S, SKEW_WARNING_S)
    side = "ahead of" if ahead > 0 else "behind"
    return Finding(
        check="clock",
        level=level,
        observed=f"{abs(ahead):.1f} s {side} the broker's",
        advice=""
        if level is Level.OK
        else "start time synchronisation (chrony, systemd-timesyncd)",
    )


def _ports(machine: Machine) -> Finding:
    if machine.running:
        return Finding(check="ports", level=Level.OK, observed="held by the stack that runs")
    if not machine.busy_ports:
        return Finding(check="ports", level=Level.OK, observed="all are free")
    return Finding(
        check="ports",
        level=Level.FAULT,
        observed="; ".join(machine.busy_ports),
        advice="stop that program, or move the ports by these settings or --port-base",
    )


def _keys(machine: Machine) -> Finding:
    if machine.keys is None:
        return Finding(check="keys", level=Level.OK, observed="made at the first start")
    faults = list(_key_faults(machine.keys))
    if faults:
        return Finding(
            check="keys",
            level=Level.FAULT,
            observed="; ".join(faults),
            advice=f"chmod 600 the files in {machine.keys_dir}; delete one to have it made anew",
        )
    if machine.missing_keys:
        names = ", ".join(machine.missing_keys)
        return Finding(check="keys", level=Level.OK, observed=f"made at the next start: {names}")
    return Finding(check="keys", level=Level.OK, observed=f"{len(machine.keys)} files")


def _key_faults(keys: tuple[KeyFile, ...]) -> Iterator[str]:
    for key in keys:
        if key.mode & KEY_MODE:
            yield f"{key.name} may be read by others (mode {key.mode:o})"
        if key.size == 0:
            yield f"{key.name} is empty"


def _versions(machine: Machine) -> Finding:
    if not machine.python_supported:
        return Finding(
            check="versions",
            level=Level.FAULT,
            observed=f"Python {machine.python}",
            advice="install Python 3.11 or newer, then run make clean run",
        )
    if len(set(machine.versions.values())) > 1:
        each = ", ".join(f"{name} {version}" for name, version in sorted(machine.versions.items()))
        return Finding(
            check="versions",
            level=Level.FAULT,
            observed=f"packages of different versions: {each}",
            advice="install all of one version: make clean run",
        )
    version = next(iter(machine.versions.values()), "of unknown version")
    return Finding(
        check="versions", level=Level.OK, observed=f"SEP {version}, Python {machine.python}"
    )


def _wheels(machine: Machine) -> Finding:
    if machine.architecture not in MACHINES:
        return Finding(
            check="wheels",
            level=Level.FAULT,
            observed=f"this machine is {machine.architecture}",
            advice=f"use one of {', '.join(MACHINES)}: Envoy and Valkey come for no other",
        )
    observed = ", ".join(f"{name}: {words}" for name, words in machine.programs.items())
    if machine.broken:
        advice = f"install {', '.join(machine.broken)} again: make clean run"
        return Finding(check="wheels", level=Level.FAULT, observed=observed, advice=advice)
    return Finding(check="wheels", level=Level.OK, observed=observed)


def _broker(machine: Machine) -> Finding:
    broker = machine.broker
    if broker is None:
        return Finding(check="broker", level=Level.OK, observed="paper: the stack runs its own")
    if broker.status is None:
        return Finding(
            check="broker",
            level=Level.FAULT,
            observed=f"{broker.url} does not answer: {broker.error}",
            advice="look at network, DNS, firewall and the broker's status page",
        )
    if broker.status in {401, 403}:
        return Finding(
            check="broker",
            level=Level.FAULT,
            observed=f"{broker.url} refuses the token (status {broker.status})",
            advice="set OANDA_API_TOKEN to a token of this environment's account",
        )
    if broker.status >= 500:
        return Finding(
            check="broker",
            level=Level.WARNING,
            observed=f"{broker.url} answers with status {broker.status}",
            advice="the broker has maintenance or a fault: see its status page, and try again",
        )
    return Finding(check="broker", level=Level.OK, observed=f"{broker.url} answers")


def _level(value: float, fault: float, warning: float) -> Level:
    if value > fault:
        return Level.FAULT
    return Level.WARNING if value > warning else Level.OK
