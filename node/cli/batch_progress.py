"""A batch as it is shown while it runs."""

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from node.batch.runner.ledger import State
from node.batch.runner.report import Moment

_LINES_EVERY = 100


class _Rate(ProgressColumn):
    """Cases an hour."""

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed * 3600:.0f}/h")


class Shown:
    """A line with a bar on a terminal; elsewhere a line now and then."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self._progress = progress
        self._console = console
        self._bar = progress.add_task("looking at the input", total=None, counts="")
        self._shown = 0

    def begin(self, total: int | None) -> None:
        """Say how many items there are, None where nobody knows."""
        self._progress.update(self._bar, total=total, description="cases")

    def tell(self, moment: Moment) -> None:
        """Show how far the batch is; a failure gets a line of its own."""
        record = moment.record
        if record.state is State.FAILED:
            again = "" if record.final else " (to be tried again)"
            said = f"{record.key}: {record.code}: {record.reason}{again}"
            self._console.print(said, style="red", markup=False, soft_wrap=True)
        ended = moment.done + moment.refused + moment.failed
        counts = (
            f"{moment.done} done, {moment.refused} refused, {moment.failed} failed, {moment.earlier} earlier, "
            f"{moment.workers} workers"
        )
        self._progress.update(self._bar, completed=ended + moment.earlier, description="cases", counts=counts)
        if not self._console.is_terminal and ended >= self._shown + _LINES_EVERY:
            self._shown = ended
            self._console.print(counts, markup=False)


@contextlib.contextmanager
def shown(console: Console) -> Iterator[Shown]:
    """Show a batch while the block lasts."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
        console=console,
        disable=not console.is_terminal,
        speed_estimate_period=600,
    )
    with progress:
        yield Shown(progress, console)
