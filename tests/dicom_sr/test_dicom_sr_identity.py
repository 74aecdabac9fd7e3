import uuid

import pytest

from dicom_sr import InvalidResult, ResultIdentity, derive_uid

IDENTITY = {"series_digest": "a", "bundle_digest": "b", "settings_digest": "c", "software_version": "1"}


def test_a_derived_uid_is_a_version_8_uuid_under_2_25() -> None:
    uid = derive_uid("series", "1")
    assert uid == "2.25.267789653459342015850967670595833441878"
    value = uuid.UUID(int=int(uid.removeprefix("2.25.")))
    assert (value.version, value.variant) == (8, uuid.RFC_4122)


@pytest.mark.parametrize("parts", [("",), ("a",), ("x" * 10_000, "ü")])
def test_a_derived_uid_has_at_most_64_characters_and_no_leading_zero(parts: tuple[str, ...]) -> None:
    uid = derive_uid(*parts)
    assert len(uid) <= 64
    assert all(component == "0" or not component.startswith("0") for component in uid.split("."))


def test_parts_do_not_run_into_each_other() -> None:
    assert derive_uid("ab", "c") != derive_uid("a", "bc") != derive_uid("abc")


def test_a_uid_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidResult, match="at least one part"):
        derive_uid()


@pytest.mark.parametrize("changed", list(IDENTITY))
def test_any_changed_part_of_the_identity_gives_new_uids(changed: str) -> None:
    assert ResultIdentity(**IDENTITY).uid("seg") != ResultIdentity(**IDENTITY | {changed: "other"}).uid("seg")


def test_the_device_uid_changes_with_the_bundle_and_not_with_the_series() -> None:
    device_uid = ResultIdentity(**IDENTITY).device_uid()
    assert ResultIdentity(**IDENTITY | {"series_digest": "other"}).device_uid() == device_uid
    assert ResultIdentity(**IDENTITY | {"bundle_digest": "other"}).device_uid() != device_uid
