"""`cspine-node dataset inspect`, and the page that explains what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cspineseg import build

from node.batch.midrc.columns import DERIVED, OWN
from node.batch.midrc.defects import DefectCode
from node.batch.midrc.manifest import read_manifest

PAGE = Path(__file__).parents[3] / "docs" / "dataset.md"


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "node", "dataset", "inspect", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def download(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("download")
    build(root, 4, zipped=True, shape=(6, 48, 48), planted=("mask_empty",))
    return root


def test_it_tells_what_is_there_and_writes_the_manifest(download, tmp_path) -> None:
    done = command(download, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert (said["exams"], said["with"]) == (4, {"dicom": 4, "image": 4, "mask": 4, "all": 4})
    assert said["images_matched_by"] == {"table": 4}
    assert said["defects"]["mask-empty"]["count"] == 1
    assert (said["without_defects"], said["of_the_whole"]) == (3, [])
    assert len(read_manifest(tmp_path / "out").exams) == 4


def test_a_subset_is_told_and_written(download, tmp_path) -> None:
    done = command(download, "--quick", "--out", tmp_path, "--where", "'mask-empty' in defects")
    assert done.returncode == 0
    assert "1 exams of 1 patients" in done.stdout
    assert "mask-empty: 1" in done.stdout
    assert len(read_manifest(tmp_path).exams) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [(["absent"], 65, "no such file"), (["."], 65, "no part of a CSpineSeg download")],
)
def test_what_is_no_download_is_refused(tmp_path, monkeypatch, arguments, code: int, says: str) -> None:
    done = command(*(tmp_path / argument for argument in arguments))
    assert done.returncode == code
    assert says in " ".join(done.stderr.split())


def test_a_wrong_expression_names_what_comes_close(download) -> None:
    done = command(download, "--quick", "--where", "manufactuer == 'GE'")
    assert done.returncode == 78
    assert "manufacturer" in done.stderr


def test_the_page_explains_every_defect() -> None:
    explained = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE))
    codes = {code.value: code.meaning for code in DefectCode}
    assert {code: explained.get(code) for code in codes} == codes


def test_the_page_names_every_column_of_the_manifest() -> None:
    page = PAGE.read_text()
    assert [name for name in (*OWN, *DERIVED) if f"`{name}`" not in page] == []


def test_a_code_is_a_word_of_small_letters_and_a_meaning_is_a_sentence() -> None:
    for code in DefectCode:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code.value)
        assert re.fullmatch(r"[A-Z].*\.", code.meaning)
