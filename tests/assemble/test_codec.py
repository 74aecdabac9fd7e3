"""The codecs' process: what a crash, a hang and a death cost, and what is left of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import RLELossless

from node.assemble.codec.process import COMMAND, CodecProcess
from node.assemble.pixel_format import PixelFormat
from node.assemble.pixels import decode
from node.errors import SystemFailed, TruncatedFile, UndecodablePixels

#: A child whose codec is `lambda raw, pixel_format, numbers: ...`.
_CHILD = (
    "import ctypes, os, signal, time\nfrom node.assemble.codec import child\nreal = child.cells_of\n{}\nchild.main()"
)
CRASHES = "child.cells_of = lambda *_: os.kill(os.getpid(), signal.SIGSEGV)"
#: `PyDLL` keeps Python's lock while it sleeps, as a codec does.
HANGS = "child.cells_of = lambda *_: ctypes.PyDLL(None).sleep(1000)"
EATS = "child.cells_of = lambda *_: bytearray(2 << 30)"
TALKS = (
    "child.send_message(child.socket.socket(fileno=int(child.sys.argv[1])), b'ready'); print('x'); child.sys.exit(3)"
)

FORMAT = PixelFormat(
    transfer_syntax_uid=RLELossless,
    number_of_frames=1,
    rows=40,
    columns=36,
    bits_allocated=16,
    bits_stored=16,
    high_bit=15,
    signed=False,
)


def command(codec: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", _CHILD.format(codec))


@pytest.fixture
def frames(kit, tmp_path):
    """Return the frames of a series in RLE."""
    return kit.series_in(kit.write(tmp_path / "in", kit.stack(count=3).datasets(), RLELossless)).frames


@pytest.fixture
def start():
    """Return a function that makes a CodecProcess, which ends with the test."""
    made: list[CodecProcess] = []

    def make(codec: str = "", frame_s: float = 60.0) -> CodecProcess:
        made.append(CodecProcess(command(codec) if codec else COMMAND, frame_s=frame_s))
        return made[-1]

    yield make
    for one in made:
        one.close()


def gone(pid: int) -> bool:
    """Poll until a process has ended."""
    deadline, poll = time.monotonic() + 60, threading.Event()
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        poll.wait(0.01)
    return False


def test_one_process_serves_one_object_after_the_other(start, frames):
    codecs = start()
    assert codecs.pid is None
    first = decode(frames, codecs)
    pid = codecs.pid
    assert pid is not None
    assert np.array_equal(decode(frames, codecs), first)
    assert codecs.pid == pid


@pytest.mark.parametrize(
    ("codec", "said"), [(CRASHES, "ended by SIGSEGV"), (EATS, "ended with exit code 1"), (TALKS, "ended with exit")]
)
def test_a_codec_that_ends_costs_the_case_alone(start, frames, codec, said):
    codecs = start(codec)
    with pytest.raises(UndecodablePixels, match=said):
        decode(frames, codecs)
    assert codecs.pid is None


def test_a_codec_that_hangs_is_ended(start, frames):
    codecs = start(HANGS, frame_s=0.1)
    with pytest.raises(UndecodablePixels, match="took longer than 0 s"):
        decode(frames, codecs)
    assert codecs.pid is None


def test_what_kills_a_used_process_is_tried_in_a_fresh_one(start, frames, tmp_path):
    """What a file did to the heap of a codec may end it in the middle of the next one."""
    served = tmp_path / "served"
    codecs = start(
        f"child.cells_of = lambda *work: real(*work) if not os.path.exists({str(served)!r})"
        f" else (os.unlink({str(served)!r}), os.abort())"
    )
    first = decode(frames, codecs)
    pid = codecs.pid
    served.touch()
    assert np.array_equal(decode(frames, codecs), first)
    assert codecs.pid != pid


def test_a_process_that_died_idle_is_replaced(start, frames):
    codecs = start()
    first = decode(frames, codecs)
    pid = codecs.pid
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    assert np.array_equal(decode(frames, codecs), first)


def test_a_process_that_lost_memory_makes_way(start, frames):
    codecs = start("mapped = iter([0, 0, 1 << 40])\nchild._mapped_bytes = lambda: next(mapped)")
    assert decode(frames[:1], codecs).shape == (1, 40, 36)
    assert decode(frames[:1], codecs).shape == (1, 40, 36)


def test_signals_of_the_terminal_leave_it_alone(start, frames):
    codecs = start()
    decode(frames, codecs)
    pid = codecs.pid
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    decode(frames, codecs)
    assert codecs.pid == pid
    assert os.getsid(pid) == pid


def test_threads_take_turns(start, frames):
    codecs = start()
    expected = decode(frames, codecs)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: decode(frames, codecs), range(20)))
    assert all(np.array_equal(one, expected) for one in found)


def test_a_file_that_vanishes_leaves_nothing_behind_on_the_line(start, frames, tmp_path):
    codecs = start()
    expected = decode(frames, codecs)
    with pytest.raises(FileNotFoundError):
        codecs.decode(tmp_path / "absent", (0, 1), FORMAT, [0])
    assert np.array_equal(decode(frames, codecs), expected)


def test_fewer_frames_than_the_header_says_are_a_truncated_file(start, kit, tmp_path):
    kit.save(kit.enhanced(kit.stack(count=3).datasets()), tmp_path / "a.dcm", RLELossless)
    frame = kit.series_in(tmp_path).frames[0]
    with pytest.raises(TruncatedFile, match="fewer"):
        decode([replace(frame, frame_number=9)], start())


def test_none_starts_after_the_end(start, frames):
    codecs = start()
    decode(frames, codecs)
    pid = codecs.pid
    codecs.close()
    assert gone(pid)
    with pytest.raises(SystemFailed, match="closed"):
        decode(frames, codecs)


@pytest.mark.parametrize("missing", [("/nonexistent",), (sys.executable, "-c", "raise SystemExit(4)")])
def test_a_process_that_cannot_start_is_the_machines_fault(frames, missing):
    with pytest.raises(SystemFailed, match="codecs' process"):
        decode(frames, CodecProcess(missing))


_NODE = """
import sys
from pathlib import Path
from node.assemble.headers import gather
from node.assemble.pixel_format import PixelFormat
from node.assemble.pixels import decode
from node.assemble.codec.process import CODECS, CodecProcess
codecs = CodecProcess(eval(sys.argv[2])) if sys.argv[2:] else CODECS
import threading, time
def tell():
    while codecs.pid is None:
        time.sleep(0.001)
    print(codecs.pid, flush=True)
threading.Thread(target=tell).start()
print(decode(gather(Path(sys.argv[1]).iterdir())[0][0].frames, codecs).shape)
"""


def test_nothing_is_left_of_it_and_nothing_is_said_at_a_normal_end(frames):
    folder = str(frames[0].path.parent)
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", _NODE, folder], capture_output=True, text=True, check=True
    )
    pid, shape = sorted(done.stdout.split("\n")[:2], key=len)
    assert (shape, done.stderr) == ("(3, 40, 36)", "")
    assert gone(int(pid))


def test_it_dies_with_a_node_that_is_killed_even_while_a_codec_hangs(frames):
    folder = str(frames[0].path.parent)
    node = subprocess.Popen(
        [sys.executable, "-c", _NODE, folder, repr(command(HANGS))], stdout=subprocess.PIPE, text=True
    )
    with node:
        pid = int(node.stdout.readline())
        node.kill()
    assert gone(pid)
