"""The settings file as a whole."""

import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError, field_validator, model_validator

from node.domain.case import Order, Wanted
from node.errors import SettingsError
from node.settings.destinations import DestinationSettings
from node.settings.model import STARTER_BUNDLE, ModelSettings
from node.settings.notify import NotifySettings
from node.settings.pull import PullSettings, pull_complaints
from node.settings.receive import PeerSettings, ReceiveSettings
from node.settings.routes import RouteSettings
from node.settings.sections import (
    CompletenessSettings,
    JournalSettings,
    LogSettings,
    NodeSettings,
    RetentionSettings,
    WorkSettings,
)
from node.settings.values import Section, file_place
from node.settings.web import WebSettings

#: Sections of several kinds, by the key that tells them apart.
_KINDS = {"destination": frozenset({"dicom", "stow", "folder"}), "notify": frozenset({"webhook", "mail"})}

AnySection = TypeVar("AnySection", bound=Section)


class Settings(Section):
    """The whole file."""

    node: NodeSettings
    receive: ReceiveSettings = ReceiveSettings()
    completeness: CompletenessSettings = CompletenessSettings()
    journal: JournalSettings = JournalSettings()
    retention: RetentionSettings = RetentionSettings()
    model: ModelSettings = ModelSettings()
    work: WorkSettings = WorkSettings()
    log: LogSettings = LogSettings()
    route: tuple[RouteSettings, ...] = (RouteSettings(name="cervical-t2-sagittal"),)
    destination: tuple[DestinationSettings, ...] = ()
    #: Who may speak to the node; empty lets everyone store.
    peer: tuple[PeerSettings, ...] = ()
    web: WebSettings = WebSettings()
    pull: tuple[PullSettings, ...] = ()
    notify: tuple[NotifySettings, ...] = ()

    @field_validator("route")
    @classmethod
    def _routes_exist(cls, routes: tuple[RouteSettings, ...]) -> tuple[RouteSettings, ...]:
        if not routes:
            raise ValueError("at least one route is needed")
        return routes

    @model_validator(mode="after")
    def _names_agree(self) -> "Settings":
        known = [destination.name for destination in self.destination]
        complaints = [
            *_repeated("route[{}].name", [route.name for route in self.route]),
            *_repeated("destination[{}].name", known),
            *_repeated("peer[{}].ae_title", [peer.ae_title for peer in self.peer]),
            *_repeated("pull[{}].name", [pull.name for pull in self.pull]),
            *_repeated("notify[{}].name", [notify.name for notify in self.notify]),
        ]
        complaints += [
            f"peer[{number}].certificate: is looked at over TLS only, and there is no [receive.tls]"
            for number, peer in enumerate(self.peer)
            if peer.certificate and self.receive.tls is None
        ]
        complaints += pull_complaints(self.pull, self.route, self.destination, self.peer)
        for number, route in enumerate(self.route):
            key = f"route[{number}].destinations[{{}}]"
            complaints += _repeated(key, route.destinations)
            complaints += [
                f"{key.format(index)}: no [[destination]] has the name {name!r}"
                for index, name in enumerate(route.destinations)
                if name not in known
            ]
        if complaints:
            raise ValueError("\n".join(complaints))
        return self

    def order(self, route: RouteSettings) -> Order:
        """Return what is to be made of a case of `route`: every form that one of its destinations takes."""
        wanted = {peer.wanted for peer in self.destination if peer.name in route.destinations}
        return Order(
            segments=route.segments, on_reject=route.on_reject, wanted=frozenset(wanted) or frozenset({Wanted()})
        )


def _repeated(key: str, names: Sequence[str]) -> list[str]:
    """Return a complaint, at the `key` of its index, for every name that stands earlier in the list too."""
    return [
        f"{key.format(index)}: {name!r} stands there twice" for index, name in enumerate(names) if name in names[:index]
    ]


def load_settings(path: Path) -> Settings:
    """Parse the TOML file at `path`. Raises SettingsError with one line for every key that is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {os.strerror(error.errno or 0)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    settings = parse_settings(document, name=str(path))
    try:
        return _anchored(settings, path.resolve().parent)
    except RuntimeError as error:
        raise SettingsError(f"{path}: node.state_dir, model.bundle: {error}") from error


def parse_settings(document: dict[str, Any], *, name: str) -> Settings:
    """Turn a parsed document into settings; `name` stands in front of every complaint."""
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        lines = [line for item in error.errors() for line in _complaints(item)]
        raise SettingsError("\n".join(f"{name}: {line}" for line in lines)) from error


def _complaints(item: Any) -> list[str]:
    """Return one line a fault; faults of the whole file name their keys themselves."""
    location = list(item["loc"])
    if len(location) > 2 and location[2] in _KINDS.get(location[0], ()):
        del location[2]  # pydantic names the kind of section that it took it for
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    message = "there is no such key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
    return [f"{path}: {message}"] if path else message.splitlines()


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Let relative paths start at the folder of the settings file, and names of bundles at the library."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    anchored = _files_anchored(settings, folder, Path(given) if given else None)
    place = _bundle_place(settings.model.bundle, folder, anchored.node)
    return anchored.model_copy(update={"model": anchored.model.model_copy(update={"bundle": place})})


def _files_anchored(section: AnySection, folder: Path, credentials: Path | None) -> AnySection:
    """Let every relative path of a section and of all that is in it start at `folder`, every credential at
    `credentials`: systemd's folder of them.
    """

    def anchored(value: Any) -> Any:
        if isinstance(value, Path):
            return file_place(value, folder, credentials)
        if isinstance(value, Section):
            return _files_anchored(value, folder, credentials)
        return tuple(map(anchored, value)) if isinstance(value, tuple) else value

    return section.model_copy(update={name: anchored(value) for name, value in section})


def _bundle_place(bundle: str, folder: Path, node: NodeSettings) -> str:
    """Return "starter", or the path of the bundle: a bare name is one of the library, or else a folder beside us."""
    if bundle == STARTER_BUNDLE:
        return bundle
    beside, imported = folder / Path(bundle).expanduser(), node.models_dir / bundle
    is_path = "/" in bundle or bundle.startswith((".", "~"))
    return str(beside if is_path or (beside.is_dir() and not imported.is_dir()) else imported)
