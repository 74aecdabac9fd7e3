"""The sections about the node itself."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from node.settings.values import AETitleText, Seconds, Section


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


class JournalSettings(Section):
    """`[journal]`."""

    #: Empty for SQLite in the state folder; or "postgresql://user@host/database", the password from ~/.pgpass.
    url: Annotated[str, Field(pattern=r"^(postgresql://\S+)?$")] = ""


class WorkSettings(Section):
    """`[work]`: how often a case is tried."""

    attempts: Annotated[int, Field(strict=True, ge=1)] = 3
    #: A case that was running when the process died is quarantined after so many tries: it may be what kills.
    restarts: Annotated[int, Field(strict=True, ge=1)] = 10
    #: A worker that has not been heard of for so long loses its case to another.
    lease_s: Annotated[float, Field(strict=True, ge=1)] = 60


class RetentionSettings(Section):
    """`[retention]`: how long received files and results are kept here. 0 keeps them for ever."""

    #: After every destination has confirmed every object of the newest revision.
    delivered_days: Annotated[float, Field(strict=True, ge=0)] = 30
    #: Series that no route took.
    rejected_days: Annotated[float, Field(strict=True, ge=0)] = 30


class LogSettings(Section):
    """`[log]`."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    #: "hashed" or "plain" UIDs in the logs.
    identifiers: Literal["hashed", "plain"] = "hashed"


class CompletenessSettings(Section):
    """`[completeness]`: when a series needs no more waiting."""

    #: Quiet time after the last arrival where the expected number of instances is there, all associations released.
    quiet_expected_s: Seconds = 8
    #: The same where nobody has said how many there are.
    quiet_s: Seconds = 30
    #: The same after an association of the series was aborted.
    quiet_after_abort_s: Seconds = 120
    #: An association that is still open holds a series back until idle for so long.
    open_association_idle_s: Seconds = 60
    #: No series waits longer than this; it is then closed and flagged partial.
    hard_cap_s: Seconds = 3600
