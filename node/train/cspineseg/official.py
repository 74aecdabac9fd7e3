"""nnU-Net's own commands, each as a process with an environment of its own. Nothing of nnU-Net is changed."""

import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from node.durable import make_folder_durably
from node.errors import SystemFailed, TrainingFailed
from node.train.cspineseg.workspace import Workspace

Line = Callable[[str], None]

_PYTHON = (sys.executable, "-P", "-m")
_GUARD = (*_PYTHON, "node.train.cspineseg.guard", *_PYTHON, "node.train.cspineseg.launch")
_LAST_LINES = 5


def _unheard(_line: str) -> None:
    """Tell nobody."""


class Commands:
    """Runs commands for a workspace; `stop` ends all that run. Safe to use from several threads."""

    def __init__(self, workspace: Workspace, *, processes: int | None = None) -> None:
        """`processes`: how many nnU-Net may start for each of its jobs; None leaves it to nnU-Net."""
        self._workspace = workspace
        self._processes = processes
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(
        self, arguments: Sequence[str], log: str, *, device: str = "cpu", hold: int | None = None, line: Line = _unheard
    ) -> None:
        """Run a command to its end; what it prints goes to `logs/<log>.log` and, line by line, to `line`.

        `device`: cpu, mps, cuda or cuda:N; only the device of that number is visible to the command. `hold`: a
        descriptor that lives as long as the command and its children. Raises TrainingFailed, SystemFailed.
        """
        command = [program(arguments[0]), *arguments[1:]]
        folder = self._workspace.folder / "logs"
        make_folder_durably(folder)
        last: deque[str] = deque(maxlen=_LAST_LINES)
        with (folder / f"{log}.log").open("a", encoding="utf-8") as file:
            process = self._start(command, device, hold)
            try:
                for text in process.stdout or ():
                    file.write(text)
                    file.flush()
                    if words := text.strip():
                        last.append(words)
                        line(words)
            finally:
                code = _ended(process)
                with self._lock:
                    self._running.discard(process)
        if code != 0:
            said = " | ".join(last)
            raise TrainingFailed(f"{arguments[0]} ended with {code}, see {folder.name}/{log}.log: {said[-400:]}")

    def stop(self) -> None:
        """End every command that runs; none is started after this."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                if process.stdin is not None:
                    with suppress(OSError):
                        process.stdin.close()

    def _start(self, command: Sequence[str], device: str, hold: int | None) -> "subprocess.Popen[str]":
        with self._lock:
            if self._stopped:
                raise TrainingFailed("stopped before it began")
            try:
                process = subprocess.Popen(  # noqa: S603 - nnU-Net's own program, found beside this one
                    [*_GUARD, *command],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    env=environment(self._workspace, device, self._processes),
                    pass_fds=() if hold is None else (hold,),
                    start_new_session=True,
                )
            except OSError as error:
                raise SystemFailed(f"{Path(command[0]).name} cannot be started: {error.strerror}") from error
            self._running.add(process)
        return process


def environment(workspace: Workspace, device: str, processes: int | None) -> dict[str, str]:
    """Return the environment of a command: this one's, with nnU-Net's folders, without what would send data away."""
    kept = {name: value for name, value in os.environ.items() if name not in {"nnUNet_extTrainer", "WANDB_API_KEY"}}
    own: dict[str, object] = {
        "nnUNet_raw": workspace.raw.parent.absolute(),
        "nnUNet_preprocessed": workspace.preprocessed.parent.absolute(),
        "nnUNet_results": workspace.results.parent.absolute(),
        "nnUNet_wandb_enabled": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
    }
    if device == "cpu":  # nnU-Net takes every core; threads that spin for one another on a busy machine are slow
        own |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": 0}
    if processes is not None:
        own |= {"nnUNet_def_n_proc": processes, "nnUNet_n_proc_DA": processes}
    return {**kept, **{name: str(value) for name, value in own.items()}, **_visible(device, os.environ)}


def device_kind(device: str) -> str:
    """Return what nnU-Net's `-device` takes.

    >>> device_kind("cuda:1")
    'cuda'
    """
    return device.partition(":")[0]


def program(name: str) -> str:
    """Return a command that was installed beside this interpreter. Raises SystemFailed when it is not there."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        raise SystemFailed(f"{name} is not installed beside this program")
    return found


def _visible(device: str, now: Mapping[str, str]) -> dict[str, str]:
    """Return what lets a command see one device alone; the number counts among those that are visible here."""
    kind, _, number = device.partition(":")
    if kind != "cuda" or not number:
        return {}
    visible = [name for name in now.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return {"CUDA_VISIBLE_DEVICES": visible[int(number)] if int(number) < len(visible) else number}


def _ended(process: "subprocess.Popen[str]") -> int:
    """End a command, if it still runs, by closing its line; return its exit code."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    if process.stdout is not None:
        process.stdout.close()
    return process.wait()
