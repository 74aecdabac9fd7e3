"""Settings: one TOML file, parsed once into frozen models. Every error names the full key path."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from node.domain.identifiers import parse_ae_title
from node.errors import InvalidIdentifier, SettingsError


def _ae_title(text: str) -> str:
    try:
        return parse_ae_title(text)
    except InvalidIdentifier as error:
        raise ValueError(str(error)) from error


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


#: Name of the bundle that ships with the node.
STARTER_BUNDLE = "starter"

AETitleText = Annotated[str, AfterValidator(_ae_title)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
Seconds = Annotated[float, Field(strict=True, ge=0)]


class Section(BaseModel):
    """A table of the settings file: no unknown key, nothing changes after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeSettings(Section):
    """`[node]`: who the node is and where it keeps its state."""

    #: Folder of journal, spool and results. A relative path starts at the settings file.
    state_dir: Path
    ae_title: AETitleText = "CSPINE"
    #: Address to listen on; loopback unless the administrator opens it.
    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 11112


class ReceiveSettings(Section):
    """`[receive]`: limits of the listener."""

    maximum_associations: Annotated[int, Field(strict=True, ge=1)] = 20
    #: An association silent for so long is aborted.
    network_timeout_s: Seconds = 60
    maximum_pdu_bytes: Annotated[int, Field(strict=True, ge=4096, le=1 << 20)] = 131072
    #: AE titles that may store here; empty lets every one.
    calling_ae_titles: tuple[AETitleText, ...] = ()


class CompletenessSettings(Section):
    """`[completeness]`: when a series needs no more waiting."""

    #: Quiet time after the last arrival, all its associations released.
    quiet_s: Seconds = 30
    #: The same after an association of the series was aborted.
    quiet_after_abort_s: Seconds = 120
    #: An association that is still open holds a series back until idle for so long.
    open_association_idle_s: Seconds = 60
    #: No series waits longer than this; it is then closed and flagged partial.
    hard_cap_s: Seconds = 3600


class ModelSettings(Section):
    """`[model]`: which bundle segments, and on what."""

    #: "starter" for the bundle that ships with the node, or a bundle folder.
    bundle: str = STARTER_BUNDLE
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Test-time mirroring along the axes the model was trained with.
    mirroring: StrictBool = True
    #: CPU threads of the network; 0 leaves it to torch.
    threads: Annotated[int, Field(strict=True, ge=0)] = 0


class WorkSettings(Section):
    """`[work]`: how often a case is tried."""

    attempts: Annotated[int, Field(strict=True, ge=1)] = 3
    #: A case that was running when the process died is quarantined after so many tries: it may be what kills.
    restarts: Annotated[int, Field(strict=True, ge=1)] = 10


class LogSettings(Section):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    #: "hashed" or "plain" UIDs in the logs.
    identifiers: Literal["hashed", "plain"] = "hashed"


class Rules(Section):
    """`[route.accept]`: what a series must be. Patterns are regular expressions, found anywhere, case ignored.

    The defaults are the job that the node exists for: sagittal T2 of the cervical spine without fat suppression.
    """

    modality: str = "MR"
    #: At least one must be found in StudyDescription, BodyPartExamined, ProtocolName or SeriesDescription.
    #: An empty list asks nothing.
    region: tuple[Pattern, ...] = (
        r"cerv(?!ix)",
        r"(?<![a-z])c[ _-]?spine",
        r"(?<![a-z])c[ _-]?sp(?![a-z])",
        r"neck",
        r"hws",
        r"halswirbel",
        r"(?<![a-z])c-?t[ _-]?spine",
        r"(whole|total)[ _-]?spine",
    )
    #: A StudyDescription, SeriesDescription or ProtocolName that names one of these, and none of `region`, refuses.
    other_region: tuple[Pattern, ...] = (
        r"lumb|lomb",
        r"(?<![a-z])l[ _-]?spine",
        r"lws",
        r"thora[ck]",
        r"(?<![a-z])t[ _-]?spine",
        r"bws",
        r"sacr",
        r"brain",
        r"(?<![a-z])head(?![a-z])",
        r"kopf",
        r"pelvi",
        r"abdom",
        r"(?<![a-z])hips?(?![a-z])",
        r"knee",
        r"shoulder",
    )
    study_description: tuple[Pattern, ...] = ()
    series_description: tuple[Pattern, ...] = ()
    #: None may be found in SeriesDescription or ProtocolName.
    exclude_description: tuple[Pattern, ...] = (
        r"stir",
        r"tirm",
        r"spair",
        r"spir(?![a-z])",
        r"(?<!no )(?<!w/o )(?<!without )fat[ _-]?sat",
        r"(?<!no[ _-])(?<!non[ _-])(?<!w/o )(?<!without )(?<![a-z])fs(?![a-z])",
        r"dixon",
        r"(?<![a-z])water(?![a-z])",
        r"flair",
        r"(?<![a-z])(dwi|adc)(?![a-z])",
        r"diff",
        r"myelo",
        r"scout",
        r"locali[sz]er",
    )
    #: None of these values may stand in ImageType.
    exclude_image_type: tuple[str, ...] = ("LOCALIZER", "PROJECTION IMAGE", "MIP", "PHASE", "PHASE MAP", "WATER", "FAT")
    plane: Literal["sagittal", "coronal", "axial", "any"] = "sagittal"
    #: Largest angle between the slice normal and the axis that the plane is named for.
    maximum_tilt_deg: Annotated[float, Field(strict=True, ge=0, lt=45)] = 30
    #: 0 asks nothing; so it is below.
    minimum_echo_time_ms: Annotated[float, Field(strict=True, ge=0)] = 60
    minimum_repetition_time_ms: Annotated[float, Field(strict=True, ge=0)] = 1500
    #: By fat saturation or inversion recovery: whether it must be absent or present.
    fat_suppression: Literal["absent", "present", "any"] = "absent"
    minimum_slices: Annotated[int, Field(strict=True, ge=2)] = 5


class RouteSettings(Section):
    """`[[route]]`: rules, and where the results go."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    destinations: tuple[str, ...] = ()
    accept: Rules = Rules()


class DestinationSettings(Section):
    """`[[destination]]`: a peer that takes results over C-STORE."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    host: str
    port: Port
    ae_title: AETitleText
    timeout_s: Annotated[float, Field(strict=True, gt=0)] = 30
    #: First pause after a failure; doubled each time, with jitter, up to the cap.
    retry_delay_s: Annotated[float, Field(strict=True, gt=0)] = 5
    retry_cap_s: Annotated[float, Field(strict=True, gt=0)] = 900


class Settings(Section):
    """The whole file."""

    node: NodeSettings
    receive: ReceiveSettings = ReceiveSettings()
    completeness: CompletenessSettings = CompletenessSettings()
    model: ModelSettings = ModelSettings()
    work: WorkSettings = WorkSettings()
    log: LogSettings = LogSettings()
    route: tuple[RouteSettings, ...] = (RouteSettings(name="cervical-t2-sagittal"),)
    destination: tuple[DestinationSettings, ...] = ()

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
        ]
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
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"]).lstrip(".")
    message = item["msg"].removeprefix("Value error, ")
    return [f"{path}: {message}"] if path else message.splitlines()


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Let relative paths start at the folder of the settings file."""
    bundle = settings.model.bundle
    if bundle != STARTER_BUNDLE:
        bundle = str(folder / Path(bundle).expanduser())
    node = settings.node.model_copy(update={"state_dir": folder / settings.node.state_dir.expanduser()})
    return settings.model_copy(update={"node": node, "model": settings.model.model_copy(update={"bundle": bundle})})
