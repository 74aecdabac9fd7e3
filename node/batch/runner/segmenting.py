"""The task of a batch that segments: the pipeline, with the model in the memory of each worker."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from node import __version__
from node.assemble.nifti import NiftiImage, sagittal_volume
from node.batch.runner.results import kept, write_results
from node.batch.runner.task import Work, WorkerPlace, WorkItem
from node.batch.series import content_digest, order_of
from node.domain.case import Order, Reason
from node.domain.series import Series
from node.errors import BundleTampered
from node.pipeline import CaseResult, Segmenter, Stages, run_case, run_volume
from node.segment.bundle import load_bundle
from node.segment.process.pool import EnginePool
from node.settings import ModelSettings, RouteSettings, Settings

#: What of `[model]` says where and how long the networks compute, and nothing about what they answer.
_ELSEWHERE = {"bundle", "digest", "device", "threads", "timeout_s", "tolerance_ppm", "cpu_fallback"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTask:
    """Segments series and NIfTI images into the folders of their cases.

    A DICOM series gives the files of `cspine-node segment`, a NIfTI image those of them that are not DICOM; both give
    `labels.nii.gz` (the structures, by `structures[].label` of findings.json) and `classes.nii.gz` (the answer before
    clean-up: 1 body, 2 disc), voxel on voxel with the image, or with what dcm2niix makes of the series.
    """

    bundle: Path
    bundle_digest: str
    model: ModelSettings
    routes: tuple[RouteSettings, ...]
    #: By the name of the route.
    orders: Mapping[str, Order]
    all_series: bool

    @classmethod
    def of(cls, settings: Settings, bundle: Path, *, all_series: bool) -> Self:
        """Return the task of these settings with the bundle in a folder that every worker sees. Raises BundleError."""
        return cls(
            bundle=bundle,
            bundle_digest=load_bundle(bundle).digest,
            model=settings.model,
            routes=settings.route,
            orders={route.name: settings.order(route) for route in settings.route},
            all_series=all_series,
        )

    @property
    def digest(self) -> str:
        """Of the bundle, of what settings change in results, and of the software's version."""
        document = {
            "task": "segment",
            "version": __version__,
            "bundle": self.bundle_digest,
            "model": self.model.model_dump(mode="json", exclude=_ELSEWHERE),
            "routes": [route.model_dump(mode="json", exclude={"destinations"}) for route in self.routes],
            "orders": {name: _order_document(order) for name, order in self.orders.items()},
            "all_series": self.all_series,
        }
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    @contextlib.contextmanager
    def ready(self, place: WorkerPlace) -> Iterator[Work]:
        """Open the engine on the threads of `place`.

        Raises BundleError, BundleTampered where the folder holds another bundle, and what keeps the engine from
        loading.
        """
        bundle = load_bundle(self.bundle)
        if bundle.digest != self.bundle_digest:
            raise BundleTampered(f"{self.bundle}: not the bundle that the batch began with")
        with EnginePool(bundle, self.model.model_copy(update={"threads": place.threads})) as engine:
            yield SegmentWork(task=self, engine=engine.loaded())


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentWork:
    """The task with its engine."""

    task: SegmentTask
    engine: Segmenter

    def __call__(self, item: WorkItem, scratch: Path, folder: Path) -> Mapping[str, Any]:
        """Segment one item. Raises the NodeError of what failed, and OSError."""
        stages = Stages(lambda _stage: None)
        with stages.stage("load"):
            loaded = item.source.load(scratch)
        if isinstance(loaded, NiftiImage):
            result = run_volume(sagittal_volume(loaded), self.engine)
        else:
            made = self._run(loaded, stages)
            if not isinstance(made, CaseResult):
                return {"refused": [asdict(reason) for reason in made]}
            result = made
        with stages.stage("write"):
            write_results(folder, result, loaded if isinstance(loaded, NiftiImage) else None)
        return kept(result, stages)

    def _run(self, series: Series, stages: Stages) -> CaseResult | tuple[Reason, ...]:
        task = self.task
        order = order_of(series, task.routes, task.orders, all_series=task.all_series)
        if not isinstance(order, Order):
            return order
        with stages.stage("digest"):
            digest = content_digest(series)
        return run_case(series, digest, self.engine, order)


def _order_document(order: Order) -> dict[str, Any]:
    wanted = sorted((form.segmentation.value, form.report.value, form.key_images) for form in order.wanted)
    return {"segments": order.segments.value, "on_reject": order.on_reject.value, "wanted": wanted}
