"""`[[destination]]`: where results go."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, Tag, model_validator

from node.domain.case import ReportForm, SegmentationForm, Wanted
from node.settings.values import AETitleText, Port, SecretFile, Section

Positive = Annotated[float, Field(strict=True, gt=0)]


class ClientTlsSettings(Section):
    """TLS 1.2 or 1.3 towards whom the node calls. PEM files; a relative path starts at the settings file."""

    #: Who may have signed the certificate of the other side.
    authorities: Path
    #: What the node shows of itself; both or neither.
    certificate: SecretFile | None = None
    key: SecretFile | None = None
    #: Name in its certificate, where it differs from the host.
    server_name: str = ""

    @model_validator(mode="after")
    def _pair(self) -> "ClientTlsSettings":
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key come together")
        return self


class Delivering(Section):
    """What every kind of destination has."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    #: How often an object is tried; 0: until it is there.
    attempts: Annotated[int, Field(strict=True, ge=0)] = 0
    #: First pause after a failure; multiplied each time, with jitter, up to the cap.
    retry_delay_s: Positive = 5
    retry_multiplier: Annotated[float, Field(strict=True, ge=1)] = 2
    retry_cap_s: Positive = 900
    segmentation: SegmentationForm = SegmentationForm.BINARY
    report: ReportForm = ReportForm.COMPREHENSIVE_3D
    #: Also pictures with the findings burned in.
    key_images: StrictBool = False

    @property
    def wanted(self) -> Wanted:
        """The forms in which the destination takes results."""
        return Wanted(segmentation=self.segmentation, report=self.report, key_images=self.key_images)


class DicomDestination(Delivering):
    """A peer that takes results over C-STORE."""

    kind: Literal["dicom"] = "dicom"
    host: str
    port: Port
    ae_title: AETitleText
    #: For connecting, and for each answer beyond the time that the bytes themselves may take.
    timeout_s: Positive = 30
    #: The slowest line that is put up with.
    minimum_kb_per_s: Positive = 64
    #: "commitment": by storage commitment; "query": by C-FIND; "none": an answer of Success is enough.
    confirm: Literal["none", "query", "commitment"] = "none"
    #: How long a report of storage commitment may take before it is asked for again.
    confirm_timeout_s: Positive = 600
    tls: ClientTlsSettings | None = None


class StowDestination(Delivering):
    """A DICOMweb server that takes results over STOW-RS (PS3.18 10.5)."""

    kind: Literal["stow"]
    #: Base of the service, such as "https://pacs/dicom-web".
    url: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")]
    timeout_s: Positive = 60
    minimum_kb_per_s: Positive = 64
    username: str = ""
    #: File with the password of `username`; a relative path starts at the settings file.
    password_file: SecretFile | None = None
    #: File with a bearer token, read for every session.
    token_file: SecretFile | None = None
    #: "query": by QIDO-RS; "none": the answer to the STOW-RS is enough.
    confirm: Literal["none", "query"] = "none"
    confirm_timeout_s: Positive = 600
    tls: ClientTlsSettings | None = None

    @model_validator(mode="after")
    def _one_identity(self) -> "StowDestination":
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file come together")
        if self.username and self.token_file is not None:
            raise ValueError("username and token_file exclude each other")
        if (self.username or self.token_file) and not self.url.startswith("https://"):
            raise ValueError("url: a password or token is sent over https only")
        return self


class FolderDestination(Delivering):
    """A folder that takes results as files, <StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm."""

    kind: Literal["folder"]
    #: A relative path starts at the settings file.
    path: Path


def _kind(value: Any) -> str:
    kind = value.get("kind", "dicom") if isinstance(value, dict) else value.kind
    return kind if isinstance(kind, str) else ""


DestinationSettings = Annotated[
    Annotated[DicomDestination, Tag("dicom")]
    | Annotated[StowDestination, Tag("stow")]
    | Annotated[FolderDestination, Tag("folder")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message='kind must be "dicom", "stow" or "folder"',
    ),
]
