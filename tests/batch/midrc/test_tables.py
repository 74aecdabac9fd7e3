"""Tables as text: what a cell stands for, ragged and unreadable files, and the rows that speak of a series."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.batch.midrc.columns import Columns, plain_manufacturer
from node.batch.midrc.exam import Annotation
from node.batch.midrc.joins import Joins, annotation_of
from node.batch.midrc.tables import JOINED_BY, Table, read_table, typed, words


def table(name: str, *rows: dict) -> Table:
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    return Table(
        name=name, columns=columns, rows=tuple({column: row.get(column) for column in columns} for row in rows)
    )


def read(tmp_path, content: bytes, name: str = "case"):
    path = tmp_path / "table.tsv"
    path.write_bytes(content)
    return read_table(name, path)


def test_cells_are_text_and_what_says_nothing_is_missing(tmp_path) -> None:
    found, wrong = read(tmp_path, b"submitter_id\tsex\tage\n593973-000003\tMale\t 61\nb\t\tnan\n")
    assert found is not None
    assert found.rows == (
        {"submitter_id": "593973-000003", "sex": "Male", "age": "61"},
        {"submitter_id": "b", "sex": None, "age": None},
    )
    assert wrong == ()


@pytest.mark.parametrize(
    ("content", "codes", "rows"),
    [
        (b"\xef\xbb\xbfsubmitter_id\tsex\r\na\tMale\r\n", [], 1),
        (b'"submitter_id"\t"sex"\n"a"\t"5"" wide"\nb\t"\n', [], 2),
        (b"submitter_id\tsex\na\tMale\nb\n", ["table-ragged"], 2),
        (b"submitter_id\tsex\na\tMale\tx\ty\n", ["table-ragged"], 1),
        (b"sex\nMale\n", ["column-missing"], 1),
        (b"submitter_id\n", [], 0),
        (bytes(range(256)), ["table-unreadable"], None),
        (b"", ["table-unreadable"], None),
    ],
)
def test_what_is_wrong_with_a_table_is_named_and_the_rest_is_read(tmp_path, content, codes, rows) -> None:
    found, wrong = read(tmp_path, content)
    assert [one.code for one in wrong] == codes
    assert (None if found is None else len(found.rows)) == rows


@given(st.binary(max_size=200))
def test_any_bytes_are_a_table_or_a_defect(tmp_path_factory, content: bytes) -> None:
    found, wrong = read(tmp_path_factory.mktemp("t"), content)
    assert (found is None) == any(one.code == "table-unreadable" for one in wrong)


@pytest.mark.parametrize(
    ("cells", "means"),
    [
        (["1", "2.5", None], {"1": 1.0, "2.5": 2.5, None: None}),
        (["1", "many"], {"1": "1", "many": "many", None: None}),
        (["02139", "1"], {"02139": "02139", "1": "1", None: None}),
        (["True", "false"], {"True": True, "false": False, None: None}),
        (["-1e-3"], {"-1e-3": -0.001, None: None}),
        (["1e999"], {"1e999": "1e999", None: None}),
    ],
)
def test_a_column_holds_numbers_where_all_of_it_does(cells, means) -> None:
    assert typed(table("case", *({"x": cell} for cell in cells)))["x"] == means


def test_identifiers_stay_text() -> None:
    assert typed(table("case", {"zip": "10001", "site_id": "3"})) == {
        "zip": {"10001": "10001", None: None},
        "site_id": {"3": "3", None: None},
    }


@pytest.mark.parametrize(
    ("cell", "found"),
    [(None, ()), ("A-1", ("a-1",)), ("['a', \"B\"]", ("a", "b")), ("a, b", ("a, b",)), ("[]", ())],
)
def test_a_cell_may_list_identifiers(cell, found) -> None:
    assert words(cell) == found


SERIES = {
    "submitter_id": "S1",
    "series_uid": "1.2.3.4",
    "imaging_studies.submitter_id": "ST",
    "case_ids": "593973-000001",
}
STUDY = {"submitter_id": "ST", "case_ids": "593973-000001"}
CASE = {"submitter_id": "593973-000001", "sex": "Male"}


def joins(**rows) -> Joins:
    given = {"mr_series": [SERIES], "imaging_study": [STUDY], "case": [CASE]} | rows
    return Joins({name: table(name, *found) for name, found in given.items() if found})


def test_rows_are_joined_from_the_series_to_the_patient() -> None:
    found = joins().of_series("1.2.3.4", None, None)
    assert found.rows["case"] == (CASE,) or list(found.rows["case"]) == [CASE]
    assert (found.labels, found.studies, found.patients) == ({"s1"}, {"st"}, {"593973-000001"})
    assert found.defects == ()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"mr_series": [SERIES | {"series_uid": "9.9.9.9"}]}, ["file-without-row"]),
        ({"imaging_study": [STUDY | {"submitter_id": "another"}]}, ["join-broken"]),
        ({"case": [CASE | {"submitter_id": "593973-000002"}]}, ["join-broken"]),
        ({"mr_series": [SERIES, SERIES]}, ["row-twice"]),
        ({"mr_series": [SERIES, SERIES | {"series_uid": "9.9.9.9"}]}, ["row-twice"]),
        ({"case": [CASE, CASE | {"sex": "Female"}]}, ["row-twice"]),
        ({"imaging_study": []}, []),
        ({"mr_series": []}, []),
    ],
)
def test_joins_that_lead_nowhere_or_twice_are_told(rows, said) -> None:
    assert [one.code for one in joins(**rows).of_series("1.2.3.4", None, "593973-000001").defects] == said


def test_without_the_column_of_uids_the_only_row_of_the_patient_is_the_series() -> None:
    bare = {key: cell for key, cell in SERIES.items() if key != "series_uid"}
    assert joins(mr_series=[bare]).of_series("1.2.3.4", None, "593973-000001").labels == {"s1"}
    assert joins(mr_series=[bare, bare]).of_series("1.2.3.4", None, "593973-000001").labels == frozenset()


@pytest.mark.parametrize(
    ("methods", "annotation", "said"),
    [
        (["Retrospective_expert"], Annotation.EXPERT, []),
        (["Retrospective_auto", "Retrospective_auto"], Annotation.WEAK, []),
        (["Retrospective_auto", "Retrospective_expert"], None, ["annotation-contradicts"]),
        ([None], None, ["annotation-unknown"]),
        (["by hand"], None, ["annotation-unknown"]),
        ([], None, ["annotation-unknown"]),
    ],
)
def test_the_method_says_whose_mask_it_is(methods, annotation, said) -> None:
    found, wrong = annotation_of([{"annotation_method": method} for method in methods])
    assert (found, [one.code for one in wrong]) == (annotation, said)


def test_columns_that_several_tables_have_carry_the_tables_name() -> None:
    tables = joins(
        mr_series=[SERIES | {"type": "mr", "manufacturer": "GE MEDICAL SYSTEMS", "slice_thickness": "3"}],
        case=[CASE | {"type": "case"}],
    )
    cells = Columns(tables).of(tables.of_series("1.2.3.4", None, None), (), None, None)
    assert cells["mr_series.type"] == "mr"
    assert cells["case.type"] == "case"
    assert cells["mr_series.series_uid"] == "1.2.3.4"
    assert (cells["sex"], cells["slice_thickness"]) == ("Male", 3.0)
    assert (cells["manufacturer"], cells["mr_series.manufacturer"]) == ("GE", "GE MEDICAL SYSTEMS")
    assert "type" not in cells


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("GE MEDICAL SYSTEMS", "GE"),
        ("ge", "GE"),
        ("General Electric", "GE"),
        ("Siemens HealthCare GmbH", "Siemens"),
        ("SIEMENS", "Siemens"),
        ("Philips Medical Systems", "Philips"),
        ("Gerät", "Gerät"),
        (None, None),
    ],
)
def test_a_manufacturer_has_one_name(said, plain) -> None:
    assert plain_manufacturer(said) == plain


def test_every_table_has_columns_to_join_by() -> None:
    assert set(JOINED_BY) == {
        "mr_series",
        "imaging_study",
        "case",
        "annotation_file",
        "image_manifest",
        "clinical_manifest",
    }
