"""A few hundred of the mutated files, and that the harness sees what it is there to see."""

import random
from pathlib import Path

import pytest
from fakes import CANARY
from faults.file_mutations import MUTATIONS, mutated, places
from faults.file_seeds import seeds
from faults.files import CAUGHT, fuzz, is_caught


def test_mutated_files_end_in_a_volume_or_in_a_named_error(tmp_path: Path) -> None:
    found = fuzz(range(150), 11, tmp_path)
    assert (found.faults, found.files) == ([], 150)
    assert {"spooled, volume", "spooled, truncated-file", "spooled, undecodable-pixels"} < set(found.ends)


def test_mutated_files_of_real_scanners_do_too(shared_data: Path, tmp_path: Path) -> None:
    found = fuzz(range(30), 12, tmp_path, real=shared_data / "dicom")
    assert (found.faults, found.files) == ([], 30)


@pytest.mark.parametrize("flaw", ["crash", "hang", "descriptor"])
def test_a_planted_fault_is_caught(flaw: str, tmp_path: Path) -> None:
    assert flaw in CAUGHT
    assert is_caught(flaw, tmp_path, deadline_s=3.0)


def test_the_canary_is_in_every_seed_and_a_number_names_the_same_file_for_ever(tmp_path: Path) -> None:
    found = seeds(tmp_path, None)
    assert all(seed.raw.count(CANARY.encode()) >= 4 for seed in found)
    once, again = (mutated(found[0].raw, [found[1].raw], random.Random("1:2")) for _ in range(2))
    assert once == again != found[0].raw


def test_every_mutation_changes_a_file_that_has_what_it_is_for(tmp_path: Path) -> None:
    found = {seed.name: seed.raw for seed in seeds(tmp_path, None)}
    raw, other = found["enhanced 1.2.840.10008.1.2.4.90"], found["classic 1.2.840.10008.1.2.1"]
    for mutation in MUTATIONS:
        changed = set()
        for number in range(20):
            data = bytearray(raw)
            mutation(data, [other], random.Random(number))
            changed.add(bytes(data) != raw)
        assert True in changed, mutation


def test_the_mutator_reads_every_element_of_a_seed(tmp_path: Path) -> None:
    found = {seed.name: places(seed.raw) for seed in seeds(tmp_path, None)}
    assert [len(found[f"classic 1.2.840.10008.1.2{tail}"]) for tail in ("", ".1", ".2")] == [54, 54, 54]
    assert max(place.depth for place in found["enhanced 1.2.840.10008.1.2.1"]) == 4
