"""Subsets by expression: what is chosen, what a missing value does, and that nothing but data gets through."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.batch.midrc.exam import Annotation, Defect, Exam, Place
from node.batch.midrc.where import chosen
from node.errors import SettingsError


def exam(key: str, *, annotation: Annotation | None = None, codes: tuple[str, ...] = (), **columns) -> Exam:
    cells = {"manufacturer": None, "slice_thickness": None, "sex": None, "angio": None, "case.type": "case"}
    place = Place(container=Path("/there"), name="x")
    return Exam(
        key=key,
        patient_id="593973-000003",
        study_uid=None,
        series_uid="1.2.3.4",
        dicom=place,
        image=place,
        mask=None if annotation is None else place,
        annotation=annotation,
        image_matched_by=None,
        mask_matched_by=None,
        columns=cells | columns,
        defects=tuple(Defect(code=code, text=code) for code in codes),
    )


EXAMS = (
    exam("a", annotation=Annotation.EXPERT, manufacturer="GE", slice_thickness=3.0, sex="Female", angio=False),
    exam("b", annotation=Annotation.WEAK, manufacturer="Siemens", slice_thickness=4.0, codes=("mask-empty",)),
    exam("c", manufacturer="GE", slice_thickness=5.0, sex="Male", angio=True),
)


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("manufacturer == 'GE' and expert", "a"),
        ("manufacturer == 'GE MEDICAL SYSTEMS'", "ac"),
        ("manufacturer in ('SIEMENS', 'Philips')", "b"),
        ("weak or not has_mask", "bc"),
        ("complete", "ab"),
        ("3 < slice_thickness <= 5", "bc"),
        ("slice_thickness > -1 and slice_thickness != +4", "ac"),
        ("sex != 'Male'", "a"),
        ("sex not in ['Male']", "a"),
        ("not sex == 'Male'", "ab"),
        ("angio", "c"),
        ("angio == False", "a"),
        ("'mask-empty' in defects", "b"),
        ("'mask-empty' not in defects", "ac"),
        ("annotation == 'expert'", "a"),
        ("case.type == 'case'", "abc"),
        ("key == 'b' or (patient_id == '593973-000003' and has_dicom and sex == 'Male')", "bc"),
        ("True", "abc"),
    ],
)
def test_an_expression_chooses_exams(where: str, keys: str) -> None:
    assert "".join(one.key for one in chosen(EXAMS, where)) == keys


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("manufactuer == 'GE'", "manufacturer"),
        ("type == 'case'", "there are case.type"),
        ("experts", "expert"),
        ("slice_thickness == '3'", "a number and text"),
        ("sex", "neither true nor false"),
        ("expert < True", "no order"),
        ("sex is None", "no comparison that is known"),
        ("__import__('os').system('true')", "Call has no place"),
        ("sex.__class__ == 'x'", "no column"),
        ("sex[0] == 'M'", "Subscript has no place"),
        ("slice_thickness + 1 == 4", "BinOp has no place"),
        ("[x for x in defects] == 'y'", "ListComp has no place"),
        ("(lambda: True)", "Lambda has no place"),
        ("(sex := 'Male') == 'Male'", "NamedExpr has no place"),
        ("f'{sex}' == 'Male'", "JoinedStr has no place"),
        ("sex == -'a'", "in front of a number"),
        ("'a' in sex", "comes a list"),
        ("slice_thickness == 1e999", None),
        (f"slice_thickness == {'9' * 400}", "beyond all columns"),
        ("sex ==", "not an expression"),
        ("", "not an expression"),
        ("not " * 60 + "expert", "nested too deeply"),
        ("(" * 500 + "expert" + ")" * 500, "not an expression"),
        ("slice_thickness == " + "-" * 900 + "1", "in front of a number"),
        ("a" + ".a" * 900 + " == 1", "has no place"),
        ("expert and " * 300 + "expert", "more than 2000"),
    ],
)
def test_anything_else_is_refused_by_name(where: str, says: str | None) -> None:
    if says is None:
        assert chosen(EXAMS, where) == ()
        return
    with pytest.raises(SettingsError, match=r"--where: .*") as refused:
        chosen(EXAMS, where)
    assert says in str(refused.value)


def test_without_exams_nothing_is_chosen() -> None:
    assert chosen((), "whatever == 1") == ()


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_is_refused(where: str) -> None:
    try:
        kept = chosen(EXAMS, where)
    except SettingsError:
        return
    assert {one.key for one in kept} <= {"a", "b", "c"}


_ATOMS = st.sampled_from(
    [
        "expert",
        "weak",
        "angio",
        "manufacturer == 'GE'",
        "slice_thickness >= 4",
        "sex == 'Male'",
        "'mask-empty' in defects",
    ]
)
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} and {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} or {pair[1]})"),
        inner.map(lambda one: f"not ({one})"),
    ),
    max_leaves=8,
)


@given(_EXPRESSIONS, _EXPRESSIONS)
def test_expressions_are_an_algebra_of_sets(one: str, other: str) -> None:
    def keys(where: str) -> set[str]:
        return {found.key for found in chosen(EXAMS, where)}

    assert keys(f"{one} and {other}") == keys(one) & keys(other)
    assert keys(f"{one} or {other}") == keys(one) | keys(other)
    assert keys(f"not ({one})") == {"a", "b", "c"} - keys(one)
