"""What a run of a batch did, and what it cost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from node.batch.runner.ledger import Record, State
from node.batch.runner.standing import Damage


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """What one run of a batch did."""

    #: Cases that ended in this run, by state.
    done: int
    refused: int
    failed: int
    #: Cases that an earlier run had ended, so that they were not run.
    earlier: int
    #: Items whose key another item had before.
    repeated: int
    #: Runs of cases that ended, tries that were repeated among them, as far as the driver heard of them: what a worker
    #: said just before it was killed may be lost to it, and stands in the ledger.
    executions: int
    #: Lines of the ledger that are not as they were written; their cases were run again.
    damaged: tuple[Damage, ...]
    #: From the first look at the ledger to the last case.
    wall_s: float
    #: Sums over the runs of cases: in the workers, in the pipeline's stages, and by stage.
    case_s: float
    pipeline_s: float
    stages_s: Mapping[str, float]
    #: Sum of what workers waited between two cases.
    idle_s: float
    workers: int

    @property
    def overhead_s(self) -> float:
        """Seconds a case beside the pipeline: in its worker, and until the worker had it."""
        return (self.case_s - self.pipeline_s + self.idle_s) / self.executions if self.executions else 0.0

    def document(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "done": self.done,
            "refused": self.refused,
            "failed": self.failed,
            "earlier": self.earlier,
            "repeated": self.repeated,
            "executions": self.executions,
            "damaged_lines": [{"file": damage.file, "offset": damage.offset} for damage in self.damaged],
            "workers": self.workers,
            "wall_s": round(self.wall_s, 3),
            "cases_per_hour": round(self.executions / self.wall_s * 3600, 1) if self.wall_s else 0.0,
            "case_s": round(self.case_s, 3),
            "pipeline_s": round(self.pipeline_s, 3),
            "overhead_s": round(self.overhead_s, 4),
            "idle_s": round(self.idle_s, 3),
            "stages_s": {name: round(seconds, 3) for name, seconds in self.stages_s.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """How far a run is."""

    #: Cases of this run, by state.
    done: int
    refused: int
    failed: int
    #: Ended by an earlier run.
    earlier: int
    workers: int
    #: What has just ended.
    record: Record


@dataclass(slots=True)
class Tally:
    """What a driver counts as it goes."""

    states: Counter[State] = field(default_factory=Counter)
    earlier: int = 0
    repeated: int = 0
    executions: int = 0
    workers: int = 0
    case_s: float = 0.0
    pipeline_s: float = 0.0
    idle_s: float = 0.0
    stages_s: Counter[str] = field(default_factory=Counter)

    def ended(self, record: Record) -> None:
        """Count a case that is not tried again."""
        self.states[record.state] += 1

    def executed(self, record: Record) -> None:
        """Count a run. Works tell what it took in `pipeline_s` and `stages_s`."""
        self.executions += 1
        self.case_s += record.seconds
        self.idle_s += record.idle_s or 0.0
        self.pipeline_s += record.returned.get("pipeline_s", 0.0)
        for name, seconds in record.returned.get("stages_s", {}).items():
            self.stages_s[name] += seconds

    def moment(self, record: Record) -> Moment:
        """Return how far the run is, now that `record` is there."""
        return Moment(
            done=self.states[State.DONE],
            refused=self.states[State.REFUSED],
            failed=self.states[State.FAILED],
            earlier=self.earlier,
            workers=self.workers,
            record=record,
        )

    def report(self, wall_s: float, damaged: tuple[Damage, ...]) -> BatchReport:
        """Return what was counted."""
        return BatchReport(
            done=self.states[State.DONE],
            refused=self.states[State.REFUSED],
            failed=self.states[State.FAILED],
            earlier=self.earlier,
            repeated=self.repeated,
            executions=self.executions,
            damaged=damaged,
            wall_s=wall_s,
            case_s=self.case_s,
            pipeline_s=self.pipeline_s,
            stages_s=dict(self.stages_s),
            idle_s=self.idle_s,
            workers=self.workers,
        )
