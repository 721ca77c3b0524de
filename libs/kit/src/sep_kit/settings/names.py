"""The names of all settings, to find misspelled ones among the variables of other programs.

An environment is often shared by all services, while the image of a service holds that service
alone. The names are therefore read from ``known_settings.json``, which `make generate`
makes from all registered classes. A test compares the two.
"""

import difflib
import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from sep_kit.settings.registry import knob_groups, own_fields

_FILE = "known_settings.json"
_MISSPELLED = 0.85
"""A name at least this similar to a setting is a misspelling."""
_SUGGESTED = 0.6
"""A setting at least this similar to an unknown name is suggested for it."""


def misspelled_names(environ: Iterable[str]) -> list[str]:
    """The variables of an environment that are close to a setting's name and none, sorted.

    Other programs' variables share our prefixes: SESSION_MANAGER is on every Linux desktop.
    """
    known, _ = _known()
    injected = _injected_by_kubernetes()
    return sorted(
        name
        for name in environ
        if name not in known and not injected.fullmatch(name) and _closest(name, _MISSPELLED)
    )


def unknown_names(names: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """The names of an env file of ours that are no setting, sorted.

    Args:
        others: names that the file may have beside settings of services.
    """
    return sorted(set(names) - set(_known()[0]) - set(others))


def default_of(name: str) -> str | None:
    """The default of a setting that relations of other services name; None where there is none."""
    default: str | None = _known()[1].get(name)
    return default


def suggestion(name: str) -> str | None:
    """The setting that an unknown name probably means; None if none is similar."""
    return _closest(name, _SUGGESTED)


def render() -> str:
    """The content of ``known_settings.json``: every name, and defaults that relations compare."""
    names = sorted(name.upper() for group in knob_groups() for name in own_fields(group))
    related = {n for group in knob_groups() for r in vars(group).get("relations", ())
               for n in r.names}  # fmt: skip
    defaults = {
        name.upper(): str(group.model_fields[name].default)
        for group in knob_groups()
        for name in own_fields(group)
        if name in related and type(group.model_fields[name].default) in (int, float)
    }
    known = {"names": names, "defaults": dict(sorted(defaults.items()))}
    return json.dumps(known, indent=1) + "\n"


@cache
def _known() -> tuple[tuple[str, ...], dict[str, str]]:
    """Names, and defaults by name."""
    content = json.loads(files(__package__ or "").joinpath(_FILE).read_text("utf-8"))
    return tuple(content["names"]), content["defaults"]


@cache
def _injected_by_kubernetes() -> re.Pattern[str]:
    """Variables that Kubernetes sets for each service, such as GUARD_PORT."""
    services = (n.removesuffix("_ADDR") for n in _known()[0] if n.endswith("_ADDR"))
    return re.compile(rf"({'|'.join(services)})_(PORT|SERVICE_HOST|SERVICE_PORT)(_.*)?")


def _closest(name: str, similarity: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, _known()[0], 1, similarity)), None)
