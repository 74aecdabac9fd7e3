"""Splits: whole patients, the published counts, the same for the same seed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import InputError
from node.train.cspineseg.splits import Person, draw, draw_folds, nnunet_splits, published_share, read_split


def people(*exams: int) -> list[Person]:
    """So many exams for each patient."""
    return [
        Person(key=f"exam-{patient}-{number}", patient=f"patient-{patient}")
        for patient, count in enumerate(exams)
        for number in range(count)
    ]


def patients(keys: tuple[str, ...]) -> set[str]:
    return {key.split("-")[1] for key in keys}


def test_the_published_data_set_is_split_into_391_and_100_exams_although_ten_patients_have_two() -> None:
    split = draw(people(*[2] * 10, *[1] * 471), seed=0, test=published_share(491))
    assert (len(split.train), len(split.test)) == (391, 100)
    assert sorted(len(fold) for fold in split.folds) == [78, 78, 78, 78, 79]
    assert not patients(split.train) & patients(split.test)


@given(
    exams=st.lists(st.integers(1, 4), min_size=12, max_size=40),
    seed=st.integers(0, 99),
    share=st.integers(1, 8),
)
def test_every_exam_has_one_place_and_every_patient_too(exams: list[int], seed: int, share: int) -> None:
    everybody = people(*exams)
    split = draw(everybody, seed, test=min(share, len(exams) - 8))
    places = [*split.test, *(key for fold in split.folds for key in fold)]
    assert sorted(places) == sorted(person.key for person in everybody)
    owners = [patients(part) for part in (split.test, *split.folds)]
    assert sum(map(len, owners)) == len(set().union(*owners)) == len(exams)


@given(exams=st.lists(st.integers(1, 5), min_size=12, max_size=30), seed=st.integers(0, 99))
def test_the_wanted_number_is_met_whenever_whole_patients_can_make_it(exams: list[int], seed: int) -> None:
    sums = {0}
    for count in exams:
        sums |= {number + count for number in sums}
    wanted = 4
    nearest = min(sums, key=lambda number: (abs(number - wanted), number))
    assert len(draw(people(*exams), seed, wanted).test) == nearest


@given(order=st.permutations(people(*[1] * 8, 2, 2)))
def test_the_order_of_the_files_does_not_matter(order: list[Person]) -> None:
    assert draw(order, 3, 4) == draw(people(*[1] * 8, 2, 2), 3, 4)


def test_another_seed_is_another_split() -> None:
    assert len({draw(people(*[1] * 40), seed, 8).test for seed in range(10)}) == 10


def test_a_split_of_a_seed_stays_what_it_is() -> None:
    """A change here is a change of everybody's split."""
    split = draw(people(1, 1, 2, 1, 1, 1, 1, 3), seed=1, test=2)
    assert split.test == ("exam-0-0", "exam-6-0")
    assert [len(fold) for fold in split.folds] == [3, 2, 2, 1, 1]


def test_weak_masks_join_the_training_and_those_of_tested_patients_get_no_place() -> None:
    experts = people(*[1] * 10)
    weak = [Person(key=f"weak-{number}", patient=f"patient-{number}") for number in range(12)]
    split = draw(experts, 0, 3, more=weak)
    assert len(split.test) == 3
    assert len(split.train) == 7 + 9
    assert split.test == draw(experts, 0, 3).test


def test_four_patients_do_not_make_five_folds() -> None:
    with pytest.raises(InputError, match="4 patients to train on do not make 5 folds"):
        draw_folds(people(3, 3, 3, 3), seed=0)


def test_nnunet_gets_the_four_other_folds_to_train_on() -> None:
    assert nnunet_splits([["a"], ["b"], ["c", "d"]]) == [
        {"train": ["b", "c", "d"], "val": ["a"]},
        {"train": ["a", "c", "d"], "val": ["b"]},
        {"train": ["a", "b"], "val": ["c", "d"]},
    ]


def written(path: Path, **content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_split_of_ones_own_names_patients_or_exams(tmp_path: Path) -> None:
    names = [f"patient-{number}" for number in range(5)]
    split = read_split(written(tmp_path / "s.json", train=names, test=["exam-5-0"]), people(*[1] * 5, 2), 0)
    assert split.test == ("exam-5-0",)
    assert len(split.train) == 5


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"train": ["patient-0"], "test": ["patient-0"]}, "1 patients are in two places"),
        ({"train": ["exam-5-0"], "test": ["exam-5-1"]}, "1 patients are in two places"),
        ({"train": ["patient-0"], "test": ["somebody"]}, r"test\[0\] and 0 more: no exam that can be used"),
        ({"train": ["patient-0"]}, "test: not a list of names"),
        ({"folds": [["patient-0"]], "test": ["patient-1"]}, "folds: not a list of 5 lists"),
        ({"train": ["patient-0"], "test": []}, "do not make 5 folds"),
    ],
)
def test_a_split_that_does_not_hold_is_refused(tmp_path: Path, content: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_split(written(tmp_path / "s.json", **content), people(*[1] * 5, 2), 0)
