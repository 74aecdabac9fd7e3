"""The other sections of the settings file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from node.domain.case import ReportForm, SegmentationForm, Wanted
from node.settings.values import AETitleText, Port, Seconds, Section


class NodeSettings(Section):
    """`[node]`: who the node is and where it keeps its state."""

    #: Folder of journal, spool and results. A relative path starts at the settings file.
    state_dir: Path
    ae_title: AETitleText = "CSPINE"
    #: Address to listen on; loopback unless the administrator opens it.
    host: str = "127.0.0.1"
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 11112

    @property
    def models_dir(self) -> Path:
        """The library: folder of the imported bundles."""
        return self.state_dir / "models"


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
    segmentation: SegmentationForm = SegmentationForm.BINARY
    report: ReportForm = ReportForm.COMPREHENSIVE_3D
    #: Also pictures with the findings burned in.
    key_images: StrictBool = False

    @property
    def wanted(self) -> Wanted:
        """The forms in which the peer takes results."""
        return Wanted(segmentation=self.segmentation, report=self.report, key_images=self.key_images)
