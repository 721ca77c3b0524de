"""Checks every setting of a stack before anything of it starts."""

from collections.abc import Collection, Mapping

from sep_kit.settings.loading import (
    InvalidSettingsError,
    ServiceSettings,
    check_settings,
    unknown_name,
)
from sep_kit.settings.names import unknown_names
from sep_kit.settings.registry import all_settings

from sep_local.errors import StackError
from sep_local.settings import LOCAL_NAMES, PAPER_NAMES


def check_environment(env: Mapping[str, str], from_file: Collection[str] = ()) -> list[str]:
    """Check one environment against the settings of every service.

    Args:
        from_file: the names of an env file, each of which must be a setting.

    Returns:
        Warnings.

    Raises:
        StackError: the settings have faults; all are listed.
    """
    faults = [unknown_name(n) for n in unknown_names(from_file, (*LOCAL_NAMES, *PAPER_NAMES))]
    warnings: list[str] = []
    try:
        checked = check_settings(all_settings(ServiceSettings), env)
        warnings = [warning.text for warning in checked.warnings]
    except InvalidSettingsError as error:
        # On a live account a misspelled name is a fault in the environment as well.
        faults += [fault for fault in error.faults if fault not in faults]
    if faults:
        raise StackError("the settings have faults:", faults)
    return warnings
