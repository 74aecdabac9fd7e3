"""What a training run of the starter bundle depends on, and the presets for the machines that there are."""

from dataclasses import dataclass
from pathlib import Path

from node.errors import InputError

#: Seeds of the phantoms that are never trained on.
VALIDATION_SEED = 100_000
TEST_SEED = 200_000
#: More steps than any number of minutes allows.
UNBOUNDED = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a training run depends on. `minutes` and `steps` bound each configuration's fitting.

    The same recipe gives the same weights again on the same CPU when it ends by steps and not by minutes, and when it
    does not `overlap`: then every case is there before the first step.
    """

    seed: int = 1
    cases: int = 1500
    validation_cases: int = 6
    test_cases: int = 12
    minutes: float = 480.0
    steps: int = UNBOUNDED
    #: Processes that generate cases; 0: everything in this process, one after the other.
    workers: int = 2
    #: Of each member's process.
    threads: int = 1
    device: str = "cpu"
    #: Fit while cases are still being generated, as soon as `first_cases` are there.
    overlap: bool = False
    first_cases: int = 100
    snapshots: int = 12
    batch_2d: int = 4
    batch_3d: int = 1
    learning_rate: float = 2e-3
    features_2d: tuple[int, ...] = (16, 32, 64, 96, 128, 128)
    features_3d: tuple[int, ...] = (8, 16, 32, 64, 64, 64)
    patch_2d: tuple[int, int] = (256, 256)
    patch_3d: tuple[int, int, int] = (16, 192, 192)
    #: Bundle whose weights are taken to begin with.
    start: Path | None = None
    #: Folder of labelled lumbar slices that join the training.
    lumbar: Path | None = None
    #: Figures on real volumes that somebody measured, a JSON list; they go into the model card as they are.
    real: Path | None = None
    version: str = "0.2.0"

    @property
    def training_seeds(self) -> range:
        """The phantoms to be trained on. Raises InputError when they would run into those that never are."""
        first = self.seed * 1000 - 1000
        seeds = range(first, first + self.cases)
        if seeds.start < 0 or seeds.stop > VALIDATION_SEED:
            raise InputError(f"seed {self.seed} with {self.cases} cases leaves the seeds 0 to {VALIDATION_SEED}")
        return seeds

    @property
    def validation_seeds(self) -> range:
        """The phantoms that snapshots are chosen by."""
        return range(VALIDATION_SEED, VALIDATION_SEED + self.validation_cases)

    @property
    def test_seeds(self) -> range:
        """The phantoms that the model is measured on."""
        return range(TEST_SEED, TEST_SEED + self.test_cases)


#: By name: two CPU cores and a night; one GPU and half an hour (cases are generated on all cores meanwhile, the two
#: members follow each other); a few minutes to see that everything works.
PRESETS = {
    "cpu-overnight": Recipe(),
    "gpu": Recipe(
        cases=3000,
        minutes=11.0,
        workers=14,
        threads=2,
        device="cuda",
        overlap=True,
        batch_2d=32,
        batch_3d=6,
    ),
    "quick": Recipe(cases=40, validation_cases=2, test_cases=2, minutes=5.0, snapshots=3),
}
