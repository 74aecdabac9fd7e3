"""Settings: one TOML file, parsed once into frozen models. Every error names the full key path."""

from node.settings.destinations import (
    ClientTlsSettings,
    Delivering,
    DestinationSettings,
    DicomDestination,
    FolderDestination,
    StowDestination,
)
from node.settings.file import Settings, load_settings, parse_settings
from node.settings.model import STARTER_BUNDLE, CpuSettings, ModelSettings
from node.settings.receive import ListenerTlsSettings, PeerSettings, ReceiveSettings
from node.settings.routes import RouteSettings, Rules
from node.settings.sections import (
    CompletenessSettings,
    JournalSettings,
    LogSettings,
    NodeSettings,
    RetentionSettings,
    WorkSettings,
)
from node.settings.values import Section

__all__ = [
    "STARTER_BUNDLE",
    "ClientTlsSettings",
    "CompletenessSettings",
    "CpuSettings",
    "Delivering",
    "DestinationSettings",
    "DicomDestination",
    "FolderDestination",
    "JournalSettings",
    "ListenerTlsSettings",
    "LogSettings",
    "ModelSettings",
    "NodeSettings",
    "PeerSettings",
    "ReceiveSettings",
    "RetentionSettings",
    "RouteSettings",
    "Rules",
    "Section",
    "Settings",
    "StowDestination",
    "WorkSettings",
    "load_settings",
    "parse_settings",
]
