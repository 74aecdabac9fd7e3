"""Results of a batch on their way to an archive: what goes and in which order, what is told, what a second run does."""

import json
import shutil
from collections.abc import Generator, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import typer
from oracle import OracleSegmenter, write_blocks, write_neck
from outboxes import Archive
from peers import Orthanc
from typer.testing import CliRunner
from wired import Clock

from node.assemble.headers import gather
from node.batch.runner.batch import occupied
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.batch.runner.task import WorkItem
from node.batch.sending import SendReport, Way, cases_of, send_batch
from node.batch.series import content_digest
from node.cli import sending
from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Confirmation, Destination, Parcel
from node.domain.case import Order
from node.domain.series import Series
from node.errors import (
    BatchInterrupted,
    ContextsRefused,
    DestinationMisconfigured,
    InputError,
    OutOfResources,
    PeerUnreachable,
    SettingsError,
    StoreRefused,
)
from node.output.folder import write_case
from node.pipeline import run_case
from node.settings import DestinationSettings, parse_settings

TASK = "t" * 64


class Files:
    """The source of a case: a series in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, scratch: Path) -> Series:
        assert scratch.is_dir()
        [series], _ = gather(sorted(self.folder.glob("*.dcm")))
        return series


class Answering(Archive):
    """One that may be asked for any object."""

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        if self.cannot_ask is not None:
            raise self.cannot_ask
        self.questions.append([parcel.sop_instance_uid for parcel in parcels])
        for parcel in parcels:
            yield Confirmation(parcel=parcel, found=parcel.sop_instance_uid in self.has)


def make_batch(folder: Path, order: Order = Order()) -> None:  # noqa: B008 - frozen
    """Write a batch of two cases that are done and one that failed into `folder`/out, and their series beside it."""
    keys = []
    for name, write in (("blocks", write_blocks), ("neck", write_neck)):
        write(folder / "series" / name)
        series = Files(folder / "series" / name).load(folder)
        keys.append(series.series_instance_uid)
        result = run_case(series, content_digest(series), OracleSegmenter(), order)
        write_case(
            case_folder(folder / "out", keys[-1]),
            objects=result.contents(),
            document=result.document,
            measurements=result.measurements,
            overlay=result.overlay,
        )
    with occupied(folder / "out", TASK, None, anew=False):
        writer = LedgerWriter(folder / "out")
        for key, state in {**dict.fromkeys(keys, State.DONE), "9.9": State.FAILED}.items():
            writer.append(Record(key=key, state=state, task=TASK, attempt=1, final=True, at=1.0))
        writer.close()


class Rig:
    """A batch, an archive in memory, and a clock that pauses turn."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "out"
        self.archive = Answering()
        self.clock = Clock()
        self.pauses: list[float] = []
        sources = [Files(path) for path in sorted((folder / "series").iterdir())]
        self.items = [WorkItem(key=one.load(folder).series_instance_uid, source=one) for one in sources]
        self.keys = sorted(item.key for item in self.items)

    def way(self, destination: Destination | None = None, **knobs: object) -> Way:
        def pause(seconds: float) -> None:
            self.pauses.append(seconds)
            self.clock.now += seconds

        return Way(settings(**knobs), destination or self.archive, lambda: self.clock.now, pause)

    def send(self, *, images: bool = False, destination: Destination | None = None, **knobs: object) -> SendReport:
        return send_batch(self.out, self.way(destination, **knobs), cases_of(self.items) if images else None)

    def uids(self, *names: str) -> list[str]:
        """Return the UIDs of the named results, case by case."""
        folders = [case_folder(self.out, key) for key in self.keys]
        return [uid_of(folder / name) for folder in folders for name in names]


def settings(**knobs: object) -> DestinationSettings:
    destination = {"name": "archive", "host": "127.0.0.1", "port": 104, "ae_title": "ARCHIVE", **knobs}
    [found] = parse_settings({"node": {"state_dir": "."}, "destination": [destination]}, name="test").destination
    return found


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    make_batch(folder)
    return folder


@pytest.fixture
def rig(made: Path, tmp_path: Path) -> Rig:
    shutil.copytree(made, tmp_path / "copy")
    return Rig(tmp_path / "copy")


def told(report: SendReport) -> list[tuple[str, str, str]]:
    return [(failure.key, failure.name, failure.code) for failure in report.failures]


def test_seg_then_sr_of_every_finished_case_are_sent(rig: Rig) -> None:
    report = rig.send()
    assert rig.archive.sent == rig.uids("seg.dcm", "sr.dcm")
    assert (report.sent, report.earlier, report.failed, report.without_results, report.objects) == (2, 0, 0, 1, 4)
    assert rig.archive.questions == []


def test_a_second_run_sends_nothing(rig: Rig) -> None:
    rig.send()
    rig.archive.sent.clear()
    report = rig.send()
    assert rig.archive.sent == []
    assert (report.sent, report.earlier) == (0, 2)


def test_another_destination_has_a_ledger_of_its_own(rig: Rig) -> None:
    rig.send()
    assert rig.send(name="second").sent == 2


def test_a_batch_that_was_begun_anew_is_sent_again(rig: Rig) -> None:
    rig.send()
    with occupied(rig.out, "u" * 64, None, anew=True):
        writer = LedgerWriter(rig.out)
        writer.append(Record(key=rig.keys[0], state=State.DONE, task="u" * 64, attempt=1, final=True, at=2.0))
        writer.close()
    assert rig.send().sent == 1


def test_a_case_that_was_done_again_of_another_input_is_sent_again(rig: Rig) -> None:
    rig.send()
    writer = LedgerWriter(rig.out)
    writer.append(Record(key=rig.keys[0], state=State.DONE, task=TASK, attempt=1, final=True, at=2.0, mark="2e"))
    writer.close()
    assert (rig.send().sent, rig.send().sent) == (1, 0)


def test_images_go_before_the_results_of_their_case(rig: Rig) -> None:
    report = rig.send(images=True)
    first = [frame.sop_instance_uid for frame in rig.items[0].source.load(rig.out).frames]
    results = case_folder(rig.out, rig.items[0].key)
    expected = [*first, uid_of(results / "seg.dcm"), uid_of(results / "sr.dcm")]
    assert rig.archive.sent[: len(expected)] == expected
    assert report.sent == 2


def test_a_case_whose_images_are_not_in_the_input_is_named_and_not_sent(rig: Rig) -> None:
    gone = rig.items.pop()
    report = rig.send(images=True)
    assert told(report) == [(gone.key, "", "input-error")]
    assert (report.sent, report.failed) == (1, 1)


def test_an_object_that_is_refused_is_named_and_its_report_stays_behind(rig: Rig) -> None:
    seg, report_uid, *_ = rig.uids("seg.dcm", "sr.dcm")
    rig.archive.says[seg] = [StoreRefused("not here")]
    report = rig.send()
    assert told(report) == [(rig.keys[0], "seg.dcm", "store-refused"), (rig.keys[0], "sr.dcm", "store-failed")]
    assert [failure.sop_instance_uid for failure in report.failures] == [seg, report_uid]
    assert report.failures[0].line() == f"{rig.keys[0]}: seg.dcm: store-refused: not here"
    assert report_uid not in rig.archive.sent
    assert report.sent == 1


def test_what_failed_is_sent_by_the_next_run(rig: Rig) -> None:
    rig.archive.says[rig.uids("sr.dcm")[0]] = [StoreRefused("not here")]
    rig.send()
    rig.archive.sent.clear()
    report = rig.send()
    assert (report.sent, report.earlier) == (1, 1)
    assert rig.archive.sent == rig.uids("seg.dcm", "sr.dcm")[:2]


def test_an_error_that_may_pass_is_tried_again_from_that_object_on(rig: Rig) -> None:
    seg, sr, *_ = rig.uids("seg.dcm", "sr.dcm")
    rig.archive.says[sr] = [OutOfResources("full", retry_after_s=40.0)]
    report = rig.send()
    assert report.sent == 2
    assert rig.archive.sent[:3] == [seg, sr, sr]
    assert len(rig.pauses) == 1
    assert rig.pauses[0] >= 40.0


def test_attempts_end_as_the_settings_say(rig: Rig) -> None:
    sr = rig.uids("sr.dcm")[0]
    rig.archive.says[sr] = [OutOfResources("full")] * 9
    report = rig.send(attempts=3)
    assert told(report) == [(rig.keys[0], "sr.dcm", "out-of-resources")]
    assert rig.archive.sent.count(sr) == 3


def test_a_destination_that_cannot_be_reached_ends_the_run_and_the_next_goes_on(rig: Rig) -> None:
    rig.archive.way = PeerUnreachable("nobody answers")
    with pytest.raises(BatchInterrupted, match="archive: nobody answers; the same command goes on from here"):
        rig.send(attempts=2)
    assert rig.archive.visits == 2
    rig.archive.way = None
    assert rig.send().sent == 2


def test_a_destination_that_rejects_who_we_are_ends_the_run_at_once(rig: Rig) -> None:
    rig.archive.way = DestinationMisconfigured("unknown AE title")
    with pytest.raises(DestinationMisconfigured):
        rig.send()
    assert rig.archive.visits == 1


def test_what_was_sent_is_asked_for_where_the_settings_say_so(rig: Rig) -> None:
    report = rig.send(confirm="query")
    assert report.confirmed
    assert rig.archive.questions == [rig.uids("seg.dcm", "sr.dcm")]
    assert report.sent == 2


def test_an_object_that_the_archive_lost_is_named_once_the_time_is_up(rig: Rig) -> None:
    seg = rig.uids("seg.dcm")[0]
    rig.archive.says[seg] = ["0xB000"]  # taken, and not kept
    report = rig.send(confirm="query", confirm_timeout_s=60.0)
    assert told(report) == [(rig.keys[0], "seg.dcm", "not-confirmed")]
    assert sum(rig.pauses) >= 60.0
    assert report.sent == 1


def test_an_archive_that_answers_no_query_confirms_nothing(rig: Rig) -> None:
    rig.archive.cannot_ask = ContextsRefused("no C-FIND")
    report = rig.send(confirm="query")
    assert {code for _, _, code in told(report)} == {"not-confirmed"}
    assert report.failed == 2


def test_a_duplicate_is_verified_and_its_word_has_to_do_where_nothing_can_be_asked(rig: Rig) -> None:
    seg, *_ = rig.uids("seg.dcm")
    rig.archive.has.add(seg)
    rig.archive.says[seg] = ["duplicate"]
    assert rig.send().sent == 2
    assert rig.archive.questions == [[seg]]
    rig.archive.says[seg] = ["duplicate"]
    rig.archive.cannot_ask = ContextsRefused("no C-FIND")
    assert rig.send(name="second").sent == 2


def test_a_result_that_is_gone_is_named(rig: Rig) -> None:
    (case_folder(rig.out, rig.keys[1]) / "sr.dcm").unlink()
    report = rig.send()
    assert told(report) == [(rig.keys[1], "", "result-damaged")]
    assert "there is no sr.dcm" in report.failures[0].text


def test_a_form_that_the_batch_did_not_make_is_named(rig: Rig) -> None:
    report = rig.send(segmentation="labelmap")
    assert {text for _, _, text in told(report)} == {"result-damaged"}
    assert "there is no seg-labelmap.dcm" in report.failures[0].text


def test_a_destination_gets_the_forms_that_it_takes(tmp_path: Path) -> None:
    wanted = settings(segmentation="labelmap", report="enhanced", key_images=True).wanted
    make_batch(tmp_path, Order(wanted=frozenset({wanted})))
    rig = Rig(tmp_path)
    rig.send(segmentation="labelmap", report="enhanced", key_images=True)
    first = rig.uids("seg-labelmap.dcm", "sr-enhanced-labelmap.dcm", "key-1.dcm")[:3]
    assert rig.archive.sent[:3] == first
    assert rig.uids("seg.dcm")[0] not in rig.archive.sent


def test_of_a_rejected_result_the_report_goes_alone(rig: Rig) -> None:
    folder = case_folder(rig.out, rig.keys[0])
    document = json.loads((folder / "findings.json").read_text())
    document["quality"]["verdict"] = "reject"
    (folder / "findings.json").write_text(json.dumps(document))
    rig.send()
    assert rig.archive.sent[0] == uid_of(folder / "sr.dcm")
    assert uid_of(folder / "seg.dcm") not in rig.archive.sent


def test_a_folder_without_a_batch_is_no_batch(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batch"):
        send_batch(tmp_path / "nothing", rig.way())


def test_a_run_tells_how_far_it_is(rig: Rig) -> None:
    seen: list[tuple[int, int]] = []
    send_batch(rig.out, rig.way(), tell=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 2)]


@pytest.mark.peer("orthanc")
def test_orthanc_has_images_seg_and_sr_as_they_were_made(rig: Rig, orthanc: Orthanc) -> None:
    report = rig.send(images=True, destination=CStoreDestination(orthanc.peer), confirm="query", confirm_timeout_s=60.0)
    assert (report.sent, report.failures) == (2, [])
    for item in rig.items:
        series = item.source.load(rig.out)
        found = orthanc.instances(series.study_instance_uid)
        assert len(found) == len(series.frames) + 2
        assert {instance["modality"] for instance in found} == {"MR", "SEG", "SR"}
        folder = case_folder(rig.out, item.key)
        made = {uid_of(folder / name): folder / name for name in ("seg.dcm", "sr.dcm")}
        for instance in found:
            if path := made.get(instance["sop_instance_uid"]):
                archived = pydicom.dcmread(BytesIO(orthanc.file(instance)))
                assert archived == pydicom.dcmread(path)
    assert rig.send(images=True, destination=CStoreDestination(orthanc.peer), confirm="query").earlier == 2


CONFIG = """
[node]
state_dir = "."
[[destination]]
name = "shelf"
kind = "folder"
path = "shelf"
"""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the commands print for others to read."""
    stream = StringIO()
    monkeypatch.setattr("node.show._ANSWERS", stream)
    return stream


def taken(answers: StringIO) -> str:
    """Return what was printed since the last time."""
    text = answers.getvalue()
    answers.truncate(0)
    answers.seek(0)
    return text


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(sending.send)
    return app


def test_the_command_sends_a_batch_with_its_images_to_a_folder(
    rig: Rig, command: typer.Typer, tmp_path: Path, answers: StringIO
) -> None:
    (tmp_path / "node.toml").write_text(CONFIG)
    (tmp_path / "shelf").mkdir()
    words = [str(rig.out), "--config", str(tmp_path / "node.toml"), "--destination", "shelf", "--json"]
    series = rig.out.parent / "series"

    def told(*more: str) -> dict[str, Any]:
        assert CliRunner().invoke(command, [*words, *more]).exit_code == 0
        return dict(json.loads(taken(answers)))

    document = told("--with-images", str(series))
    assert (document["sent"], document["failures"]) == (2, [])
    sent = {path.stem for path in (tmp_path / "shelf").rglob("*.dcm")}
    assert sent == {*rig.uids("seg.dcm", "sr.dcm"), *(uid_of(path) for path in series.rglob("*.dcm"))}
    assert told()["sent"] == 2  # without images it is another order
    assert told()["earlier"] == 2


def test_the_command_names_a_destination_that_nobody_knows(rig: Rig, command: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(CONFIG)
    words = [str(rig.out), "--config", str(tmp_path / "node.toml"), "--destination", "attic"]
    done = CliRunner().invoke(command, words)
    assert isinstance(done.exception, SettingsError)
    assert "destination: none is named 'attic'" in str(done.exception)


def test_the_command_fails_where_an_object_did(
    rig: Rig, command: typer.Typer, tmp_path: Path, answers: StringIO
) -> None:
    (tmp_path / "node.toml").write_text(CONFIG)
    (tmp_path / "shelf").mkdir()
    (case_folder(rig.out, rig.keys[0]) / "seg.dcm").write_bytes(b"no DICOM")
    words = [str(rig.out), "--config", str(tmp_path / "node.toml"), "--destination", "shelf"]
    assert CliRunner().invoke(command, words).exit_code == 69
    assert f"{rig.keys[0]}: result-damaged: seg.dcm: the result file is damaged" in taken(answers)
