"""The tables of an evaluation on the disk."""

import pandas as pd
import pytest

from node.batch.evaluate.scores import Scores, read_scores, write_scores
from node.errors import InputError


def scores():
    return Scores(
        cases=pd.DataFrame({"key": ["a", "b"], "patient_id": ["p", "p"], "age": [41.0, None], "sex": ["F", None]}),
        scores=pd.DataFrame(
            [
                ("a", "discs", "class", "dice", 0.1 + 0.2),
                ("a", "C2/C3", "level", "dice", 0.5),
                ("b", "discs", "class", "dice", None),
            ],
            columns=["key", "structure", "group", "metric", "value"],
        ),
        failures=pd.DataFrame({"key": ["c"], "code": ["grid-mismatch"], "reason": ["other voxels"]}),
        scheme="cspineseg",
        options={"tolerance_mm": 1.0},
    )


def test_what_is_written_is_read_back(tmp_path):
    write_scores(scores(), tmp_path / "evaluation")
    found = read_scores(tmp_path / "evaluation")

    for name in ("cases", "scores", "failures"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(scores(), name), check_dtype=False)
    assert (found.scheme, dict(found.options)) == ("cspineseg", {"tolerance_mm": 1.0})


def test_the_tsv_says_the_same_unrounded(tmp_path):
    write_scores(scores(), tmp_path)

    assert (tmp_path / "scores.tsv").read_text() == (
        "key\tstructure\tgroup\tmetric\tvalue\n"
        "a\tdiscs\tclass\tdice\t0.30000000000000004\n"
        "a\tC2/C3\tlevel\tdice\t0.5\n"
        "b\tdiscs\tclass\tdice\t\n"
    )


def test_values_of_one_metric_come_with_what_is_known_of_the_cases():
    table = scores().values("dice", group="class", structure="discs")

    assert table[["key", "structure", "patient_id", "age"]].values.tolist() == [["a", "discs", "p", 41.0]]
    assert len(scores().values("dice", group="level")) == 1


def test_missing_and_broken_tables_are_refused(tmp_path):
    with pytest.raises(InputError, match="no tables of an evaluation"):
        read_scores(tmp_path)
    write_scores(scores(), tmp_path)
    (tmp_path / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="no tables of an evaluation"):
        read_scores(tmp_path)
