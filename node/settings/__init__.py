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
from node.settings.notify import MailSettings, NotifySettings, Topic, WebhookSettings
from node.settings.pull import PullSettings, has_two_addresses
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
from node.settings.web import WebSettings

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
    "MailSettings",
    "ModelSettings",
    "NodeSettings",
    "NotifySettings",
    "PeerSettings",
    "PullSettings",
    "ReceiveSettings",
    "RetentionSettings",
    "RouteSettings",
    "Rules",
    "Section",
    "Settings",
    "StowDestination",
    "Topic",
    "WebSettings",
    "WebhookSettings",
    "WorkSettings",
    "has_two_addresses",
    "load_settings",
    "parse_settings",
]
