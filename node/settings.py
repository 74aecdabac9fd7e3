"""Settings: one TOML file, parsed once into frozen models. Every error names the full key path."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

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


AETitleText = Annotated[str, AfterValidator(_ae_title)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(ge=0)]


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
    port: Annotated[int, Field(ge=0, le=65535)] = 11112


class ReceiveSettings(Section):
    """`[receive]`: limits of the listener."""

    maximum_associations: Annotated[int, Field(ge=1)] = 20
    #: An association silent for so long is aborted.
    network_timeout_s: Seconds = 60
    maximum_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 131072
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
    bundle: str = "starter"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: Test-time mirroring along the axes the model was trained with.
    mirroring: bool = True
    #: CPU threads of the network; 0 leaves it to torch.
    threads: Annotated[int, Field(ge=0)] = 0


class WorkSettings(Section):
    """`[work]`: how often a case is tried."""

    attempts: Annotated[int, Field(ge=1)] = 3


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
        r"cerv",
        r"c[ _-]?spine",
        r"c[ _-]?sp\b",
        r"neck",
        r"hws",
        r"halswirbel",
        r"c-?t[ _-]?spine",
        r"(whole|total)[ _-]?spine",
    )
    study_description: tuple[Pattern, ...] = ()
    series_description: tuple[Pattern, ...] = ()
    #: None may be found in SeriesDescription or ProtocolName.
    exclude_description: tuple[Pattern, ...] = (
        r"stir",
        r"tirm",
        r"spair",
        r"spir\b",
        r"fat[ _-]?sat",
        r"(^|[ _-])fs([ _-]|$)",
        r"dixon",
        r"\bwater\b",
        r"flair",
        r"\bdwi\b",
        r"myelo",
        r"scout",
        r"locali[sz]er",
    )
    #: None of these values may stand in ImageType.
    exclude_image_type: tuple[str, ...] = ("LOCALIZER", "PROJECTION IMAGE", "MIP", "PHASE", "PHASE MAP", "WATER", "FAT")
    plane: Literal["sagittal", "coronal", "axial", "any"] = "sagittal"
    #: Largest angle between the slice normal and the axis that the plane is named for.
    maximum_tilt_deg: Annotated[float, Field(ge=0, lt=45)] = 30
    #: None asks nothing; so it is below.
    minimum_echo_time_ms: Annotated[float, Field(ge=0)] | None = 60
    minimum_repetition_time_ms: Annotated[float, Field(ge=0)] | None = 1500
    #: False refuses fat saturation and inversion recovery.
    fat_suppressed: bool | None = False
    minimum_slices: Annotated[int, Field(ge=2)] = 5


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
    timeout_s: Annotated[float, Field(gt=0)] = 30
    #: First pause after a failure; doubled each time, with jitter, up to the cap.
    retry_delay_s: Annotated[float, Field(gt=0)] = 5
    retry_cap_s: Annotated[float, Field(gt=0)] = 900


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
        for kind, names in (
            ("route", [route.name for route in self.route]),
            ("destination", [destination.name for destination in self.destination]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"two entries of [[{kind}]] have the same name")
        known = {destination.name for destination in self.destination}
        for route in self.route:
            for name in route.destinations:
                if name not in known:
                    raise ValueError(f"route {route.name!r} names the unknown destination {name!r}")
        return self


def load_settings(path: Path) -> Settings:
    """Parse the TOML file at `path`. Raises SettingsError with one line for every key that is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {os.strerror(error.errno or 0)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    settings = parse_settings(document, name=str(path))
    return settings.model_copy(update={"node": _anchored(settings.node, path.resolve().parent)})


def parse_settings(document: dict[str, Any], *, name: str) -> Settings:
    """Turn a parsed document into settings; `name` stands in front of every complaint."""
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{name}: {_complaint(item)}" for item in error.errors())) from error


def _complaint(item: Any) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"]).lstrip(".")
    return f"{path or 'settings'}: {item['msg'].removeprefix('Value error, ')}"


def _anchored(node: NodeSettings, folder: Path) -> NodeSettings:
    return node.model_copy(update={"state_dir": folder / node.state_dir.expanduser()})
