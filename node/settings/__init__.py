"""Settings: one TOML file, parsed once into frozen models. Every error names the full key path."""

from node.settings.file import Settings, load_settings, parse_settings
from node.settings.model import STARTER_BUNDLE, CpuSettings, ModelSettings
from node.settings.routes import RouteSettings, Rules
from node.settings.sections import (
    CompletenessSettings,
    DestinationSettings,
    LogSettings,
    NodeSettings,
    ReceiveSettings,
    WorkSettings,
)
from node.settings.values import Section

__all__ = [
    "STARTER_BUNDLE",
    "CompletenessSettings",
    "CpuSettings",
    "DestinationSettings",
    "LogSettings",
    "ModelSettings",
    "NodeSettings",
    "ReceiveSettings",
    "RouteSettings",
    "Rules",
    "Section",
    "Settings",
    "WorkSettings",
    "load_settings",
    "parse_settings",
]
