"""A stack as a service of systemd: the unit, and the steps that install it and take it away.

Everything is text and lists of steps; ``systemd_command`` carries them out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNIT_NAME = "sep.service"
USER = "sep"
SETTINGS = Path("/etc/sep")
STATE = Path("/var/lib/sep")
_NAMESPACE = "sep"

_UNIT = """\
# Runs the whole stack as processes of one unit: docs/operations/systemd.md.
[Unit]
Description=SEP: live FX trading operations
Documentation=file://{project}/docs/operations/systemd.md
Wants=network-online.target time-sync.target
After=network-online.target time-sync.target
# Settings that the stack refuses are not repaired by starting it again.
StartLimitIntervalSec=10min
StartLimitBurst=5

[Service]
Type=exec
User={user}
Group={user}
ExecStart={project}/.venv/bin/sep-stack up --env-file {settings}/sep.env \\
    --console {project}/console/dist
Environment=SEP_RUN_DIR={state}/run NUMBA_CACHE_DIR=/var/cache/sep PYTHONUNBUFFERED=1
Environment=MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 MALLOC_TRIM_THRESHOLD_=131072
WorkingDirectory={state}
StateDirectory=sep
CacheDirectory=sep
StateDirectoryMode=0700
CacheDirectoryMode=0700
UMask=0077
Restart=on-failure
RestartSec=5s
# The stack stops its parts one after the other within ten seconds.
KillMode=mixed
TimeoutStopSec=30s
OOMPolicy=continue
LimitNOFILE=65536
# A journal of its own, so that its size has a limit of its own: journald@sep.conf.
LogNamespace={namespace}

# One file a secret, such as oanda_api_token, where every service looks for them.
BindReadOnlyPaths=-{settings}/secrets:/run/secrets
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
# Not MemoryDenyWriteExecute: the evaluator's kernels are compiled when it starts.

[Install]
WantedBy=multi-user.target
"""

JOURNAL = """\
# The journal of the stack: journalctl --namespace sep.
[Journal]
Storage=persistent
SystemMaxUse=500M
MaxRetentionSec=30day
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change: a command to run, a file to write or a file to remove.

    Attributes:
        command: words of a command; empty for a step on a file.
        path: the file of the other kinds.
        text: what is written to it; None removes it.
        mode: its permissions.
        group: its group; empty for that of root.
        only_new: an existing file is left as it is.
    """

    command: tuple[str, ...] = ()
    path: Path | None = None
    text: str | None = None
    mode: int = 0o644
    group: str = ""
    only_new: bool = False

    def __str__(self) -> str:
        if self.command:
            return "run    " + " ".join(self.command)
        if self.text is None:
            return f"remove {self.path}"
        owner = f", group {self.group}" if self.group else ""
        unless = ", unless it is there" if self.only_new else ""
        return f"write  {self.path} (mode {self.mode:o}{owner}){unless}"


def unit(project: Path) -> str:
    """The unit of a checkout at this place."""
    return _UNIT.format(
        project=project, user=USER, settings=SETTINGS, state=STATE, namespace=_NAMESPACE
    )


def _units(root: Path) -> tuple[Path, Path]:
    """Where the unit and the settings of its journal are."""
    etc = root / "etc" / "systemd"
    return etc / "system" / UNIT_NAME, etc / f"journald@{_NAMESPACE}.conf"


def install_steps(project: Path, settings: str, root: Path, *, has_user: bool) -> Iterator[Step]:
    """What an installation changes, in this order.

    Args:
        project: the checkout whose ``.venv`` the unit runs.
        settings: text of the env file, for a machine that has none yet.
        root: where files go; ``/``, or a folder of a test.
        has_user: whether the user of the unit exists.
    """
    if not has_user:
        home = ("--home-dir", str(STATE), "--shell", "/usr/sbin/nologin")
        yield Step(command=("useradd", "--system", "--user-group", *home, USER))
    folder = root / SETTINGS.relative_to("/")
    for path in (folder, folder / "secrets"):
        yield Step(command=("install", "-d", "-m", "750", "-g", USER, str(path)))
    yield Step(path=folder / "sep.env", text=settings, mode=0o640, group=USER, only_new=True)
    unit_path, journal = _units(root)
    yield Step(path=journal, text=JOURNAL)
    yield Step(path=unit_path, text=unit(project))
    yield Step(command=("systemctl", "daemon-reload"))
    yield Step(command=("systemctl", "enable", UNIT_NAME))


def uninstall_steps(root: Path) -> Iterator[Step]:
    """What takes an installation away; settings, secrets, state and user stay."""
    yield Step(command=("systemctl", "disable", "--now", UNIT_NAME))
    for path in _units(root):
        yield Step(path=path)
    yield Step(command=("systemctl", "daemon-reload"))
