"""The settings of the services as messages, and those of all services as one list."""

from collections.abc import Mapping, Sequence

from sep.ops.v1 import ops_pb2

from sep_kit.settings.in_force import SettingInForce


def own_settings(service: str, found: Sequence[SettingInForce]) -> list[ops_pb2.Setting]:
    """The settings of one service."""
    return [
        ops_pb2.Setting(
            name=setting.name,
            value=setting.value,
            default=setting.default,
            services=[service],
            secret=setting.secret,
            changed=setting.changed,
            description=setting.description,
        )
        for setting in found
    ]


def merge_settings(found: Mapping[str, Sequence[ops_pb2.Setting]]) -> list[ops_pb2.Setting]:
    """One entry for each setting by name, with the services that read it.

    Services that differ in a setting have an entry each. Secrets can't be compared: whether they
    are changed is what can differ.
    """
    merged: dict[bytes, ops_pb2.Setting] = {}
    for service, settings in found.items():
        for setting in settings:
            alike = ops_pb2.Setting()
            alike.CopyFrom(setting)
            alike.ClearField("services")
            first = merged.setdefault(alike.SerializeToString(deterministic=True), alike)
            first.services.append(service)
    return sorted(merged.values(), key=lambda setting: setting.name)
