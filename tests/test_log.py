"""Logs: JSON lines, hashed UIDs, and not a word of the DICOM libraries."""

import hashlib
import hmac
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from node import log

KEY = b"k" * 32
UID = "1.2.840.113619.2.5.1"


@pytest.fixture(autouse=True)
def restored_logs() -> Iterator[None]:
    libraries = [logging.getLogger(name) for name in ("pynetdicom", "pydicom", "highdicom", "py.warnings")]
    before = [(list(library.handlers), library.propagate) for library in libraries]
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    for library, (handlers, propagate) in zip(libraries, before, strict=True):
        library.handlers, library.propagate = handlers, propagate


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_one_json_line_on_standard_error(capsys):
    log.configure(level="info", key=KEY)
    log.get_logger().info("case queued", case=7, reasons=["echo-time"])
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "case queued", "level": "info", "case": 7, "reasons": ["echo-time"]}


def test_line_breaks_in_a_value_do_not_break_the_line(capsys):
    log.configure(level="info", key=KEY)
    log.get_logger().info("x", text='a\n{"event": "forged"}')
    assert [line["text"] for line in lines(capsys)] == ['a\n{"event": "forged"}']


def test_events_below_the_level_are_dropped(capsys):
    log.configure(level="warning", key=KEY)
    log.get_logger().info("no")
    log.get_logger().warning("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes"]


@pytest.mark.parametrize("name", ["study_uid", "series_uid", "instance_uid", "sop_instance_uid"])
def test_a_uid_appears_as_a_keyed_hash(capsys, name):
    log.configure(level="info", key=KEY)
    log.get_logger().info("x", **{name: UID})
    (line,) = lines(capsys)
    assert line[name] == hmac.new(KEY, UID.encode(), hashlib.sha256).hexdigest()[:16]
    assert UID not in json.dumps(line)


def test_the_hash_of_a_uid_depends_on_the_key_alone(capsys):
    hashes = []
    for key in (KEY, KEY, b"other"):
        log.configure(level="info", key=key)
        log.get_logger().info("x", series_uid=UID)
        hashes.append(lines(capsys)[0]["series_uid"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_without_a_key_uids_are_plain(capsys):
    log.configure(level="info", key=None)
    log.get_logger().info("x", series_uid=UID)
    assert lines(capsys)[0]["series_uid"] == UID


def test_the_key_is_random_kept_and_for_its_owner_only(tmp_path):
    path = tmp_path / "log.key"
    key = log.load_or_make_key(path)
    assert len(key) == 32
    assert log.load_or_make_key(path) == key == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert log.load_or_make_key(tmp_path / "other.key") != key


@pytest.mark.parametrize(
    "name", ["pynetdicom", "pynetdicom.events", "pynetdicom._handlers", "pydicom", "pydicom.filereader", "highdicom"]
)
def test_the_dicom_libraries_are_silent_even_at_critical_and_with_a_root_handler(capsys, caplog, name):
    root = logging.StreamHandler()
    logging.getLogger().addHandler(root)
    try:
        log.configure(level="debug", key=KEY)
        logging.getLogger(name).critical("ZZSECRET^NAME")
    finally:
        logging.getLogger().removeHandler(root)
    assert capsys.readouterr() == ("", "")
    assert caplog.text == ""


def test_a_warning_that_quotes_a_value_is_not_printed():
    program = (
        "import sys; from node import log; import pydicom\n"
        "if sys.argv[1] == 'configured': log.configure(level='debug', key=b'')\n"
        "pydicom.Dataset().StudyInstanceUID = 'ZZSECRET^NAME'\n"
    )

    def printed(argument):
        command = [sys.executable, "-c", program, argument]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stderr

    assert "ZZSECRET^NAME" in printed("plain")
    assert printed("configured") == ""


def test_a_log_that_cannot_be_written_ends_nothing():
    program = "from node import log; log.configure(level='info', key=None); log.get_logger().error('e'); print('on')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False)
    assert done.stdout == b"on\n"
