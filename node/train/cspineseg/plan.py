"""Planning and preprocessing, by nnU-Net's own commands.

    nnUNetv2_plan_and_preprocess -d 108 --verify_dataset_integrity -pl PLANNER -c 2d 3d_fullres

For small plans the first command only plans, and nnUNetv2_preprocess follows with plans of another name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from node.errors import InputError, TrainingFailed
from node.segment.models.plans import check_plans
from node.train.cspineseg.official import Commands, Line
from node.train.cspineseg.smallplans import PATCH, small_name, small_plans
from node.train.cspineseg.workspace import CONFIGURATIONS, DATASET_ID, Json, Workspace, read_json, write_json

#: Our word for a planner -> nnU-Net's class, and the name of its plans.
PLANNERS = {
    "default": ("ExperimentPlanner", "nnUNetPlans"),
    "resenc-m": ("nnUNetPlannerResEncM", "nnUNetResEncUNetMPlans"),
    "resenc-l": ("nnUNetPlannerResEncL", "nnUNetResEncUNetLPlans"),
    "resenc-xl": ("nnUNetPlannerResEncXL", "nnUNetResEncUNetXLPlans"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWishes:
    """What is planned."""

    planner: str = "default"
    configurations: tuple[str, ...] = CONFIGURATIONS
    #: Largest patch of small plans, in voxels along an axis; None: plans as nnU-Net makes them.
    small_patch: int | None = None
    #: How many nnU-Net may start; None leaves it to nnU-Net.
    processes: int | None = None

    @property
    def plans(self) -> str:
        """Name of the plans that come out."""
        planned = PLANNERS[self.planner][1]
        return planned if self.small_patch is None else small_name(planned, self.small_patch)


#: A patch that a CPU can do.
SMALL_PATCH = PATCH


def plan(workspace: Workspace, wishes: PlanWishes, line: Line = lambda _text: None) -> Json:
    """Plan and preprocess the prepared data set, and return the record of what is planned now.

    What is there already is kept. Raises InputError, TrainingFailed.
    """
    known(wishes.configurations, CONFIGURATIONS, "configuration")
    known((wishes.planner,), tuple(PLANNERS), "planner")
    prepared = workspace.prepared()
    with workspace.alone("plan"):
        before = _before(workspace, prepared["digest"])
        there = before.get(wishes.plans, {}).get("configurations", [])
        if set(wishes.configurations) <= set(there):
            return workspace.planned() | {"latest": wishes.plans}
        (workspace.folder / "plan.json").unlink(missing_ok=True)  # what is preprocessed anew is not whole meanwhile
        commands = Commands(workspace, processes=wishes.processes)
        for arguments in _commands(wishes):
            line(" ".join(arguments))
            commands.run(arguments, "plan", line=line)
            if wishes.small_patch is not None and arguments[0] == "nnUNetv2_plan_and_preprocess":
                _write_small(workspace, wishes)
        _check(workspace, wishes, prepared["training"])
        entry = {"planner": wishes.planner, "configurations": sorted({*there, *wishes.configurations})}
        record = {
            "dataset": prepared["digest"],
            "latest": wishes.plans,
            "plans": {**before, wishes.plans: entry},
            "nnunetv2": version("nnunetv2"),
        }
        workspace.keep("plan", record)
    return record


def known(names: Sequence[str], there: Sequence[str], what: str) -> None:
    """Raise InputError for a name that is not one of those there, or where there is none."""
    if strange := [name for name in names if name not in there]:
        raise InputError(f"{strange[0]!r} is no {what}; there are {', '.join(there)}")
    if not names:
        raise InputError(f"no {what}; there are {', '.join(there)}")


def _before(workspace: Workspace, digest: str) -> Json:
    """Return the plans that are there for this data set."""
    if not workspace.has("plan"):
        return {}
    record = read_json(workspace.folder / "plan.json")
    return dict(record["plans"]) if record["dataset"] == digest else {}


def _commands(wishes: PlanWishes) -> list[list[str]]:
    planner, _ = PLANNERS[wishes.planner]
    number = [] if wishes.processes is None else ["-np", str(wishes.processes)]
    first = ["nnUNetv2_plan_and_preprocess", "-d", str(DATASET_ID), "--verify_dataset_integrity", "-pl", planner]
    # --clean: a fingerprint that a kill cut short is not taken
    first += ["--clean", "--no_pbar", *(["-npfp", str(wishes.processes)] if wishes.processes is not None else [])]
    if wishes.small_patch is None:
        return [[*first, "-c", *wishes.configurations, *number]]
    second = ["nnUNetv2_preprocess", "-d", str(DATASET_ID), "-plans_name", wishes.plans, "--no_pbar"]
    return [[*first, "--no_pp"], [*second, "-c", *wishes.configurations, *number]]


def _write_small(workspace: Workspace, wishes: PlanWishes) -> None:
    planned = read_json(workspace.preprocessed / f"{PLANNERS[wishes.planner][1]}.json")
    small = small_plans(planned, wishes.small_patch or PATCH)
    write_json(workspace.preprocessed / f"{small['plans_name']}.json", small)


def _check(workspace: Workspace, wishes: PlanWishes, cases: int) -> None:
    """Check that the plans can be imported later and that every case was preprocessed."""
    plans = read_json(plans_file(workspace, wishes.plans))
    dataset = read_json(workspace.raw / "dataset.json")
    for configuration in wishes.configurations:
        check_plans(plans, dataset, configuration)
        identifier = plans["configurations"][configuration]["data_identifier"]
        done = len(list((workspace.preprocessed / identifier).glob("*.pkl")))
        if done != cases:
            raise TrainingFailed(f"{configuration}: nnU-Net preprocessed {done} of {cases} cases, see logs/plan.log")


def plans_file(workspace: Workspace, plans: str) -> Path:
    """Return the plans.json of a name."""
    return workspace.preprocessed / f"{plans}.json"
