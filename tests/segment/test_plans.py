"""Plans name classes that nnU-Net would import: they are held against a list first, whatever shape the file has."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trained import configuration, dataset, old_configuration, plans

from node.errors import BundleError, ModelRefused
from node.segment.models.plans import check_plans, labels_of


def changed(document: Any, path: str, value: Any) -> Any:
    document = copy.deepcopy(document)
    inner = document
    *parents, last = path.split("/")
    for key in parents:
        inner = inner[key]
    inner[last] = value
    return document


@pytest.mark.parametrize("name", ["2d", "3d_fullres", "3d_lowres"])
@pytest.mark.parametrize("residual", [False, True])
def test_plans_as_nnunet_writes_them_are_taken(name: str, residual: bool) -> None:
    check_plans(plans(**{name: configuration(name, residual=residual)}), dataset(), name)


@pytest.mark.parametrize("network", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_plans_from_before_version_2_4_are_taken(network: str) -> None:
    check_plans(plans(**{"2d": old_configuration("2d", network)}), dataset(), "2d")


def test_a_configuration_inherits_and_what_it_inherits_is_checked() -> None:
    whole = plans(**{"3d_fullres": configuration("3d_fullres"), "3d_bs4": {"inherits_from": "3d_fullres"}})
    check_plans(whole, dataset(), "3d_bs4")
    whole["configurations"]["3d_fullres"]["preprocessor_name"] = "Canary"
    with pytest.raises(ModelRefused, match="preprocessor_name 'Canary'"):
        check_plans(whole, dataset(), "3d_bs4")


def test_configurations_that_inherit_in_a_circle_are_malformed() -> None:
    whole = plans(**{"2d": {"inherits_from": "b"}, "b": {"inherits_from": "2d"}})
    with pytest.raises(BundleError, match="circle"):
        check_plans(whole, dataset(), "2d")


@pytest.mark.parametrize("value", [True, False])
def test_normalising_within_the_mask_is_fine(value: bool) -> None:
    check_plans(changed(plans(), "configurations/2d/use_mask_for_norm", [value]), dataset(), "2d")


ARGUMENTS = "configurations/2d/architecture/arch_kwargs"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("label_manager", "EvilManager"),
        ("image_reader_writer", "os"),
        ("configurations/2d/preprocessor_name", "np"),
        ("configurations/2d/normalization_schemes", ["ImageNormalization"]),
        ("configurations/2d/resampling_fn_data", "resample_data_or_seg_to_spacing"),
        ("configurations/2d/resampling_fn_seg", "Callable"),
        ("configurations/2d/resampling_fn_probabilities", "os.system"),
        ("configurations/2d/architecture/network_class_name", "canary.Network"),
        ("configurations/2d/architecture/network_class_name", "os.system"),
        ("configurations/2d/architecture/_kw_requires_import", ["conv_op", "norm_op", "nonlin", "n_stages"]),
        (f"{ARGUMENTS}/conv_op", "canary.Conv"),
        (f"{ARGUMENTS}/conv_op", "torch.nn.LeakyReLU"),
        (f"{ARGUMENTS}/norm_op", "torch.nn.modules.conv.Conv2d"),
        (f"{ARGUMENTS}/nonlin", "torch.load"),
        (f"{ARGUMENTS}/dropout_op", "subprocess.Popen"),
        (f"{ARGUMENTS}/block", "canary.Block"),
    ],
)
def test_a_name_outside_the_lists_is_refused_by_its_key(path: str, value: Any) -> None:
    with pytest.raises(ModelRefused, match=path.rsplit("/", 1)[-1]):
        check_plans(changed(plans(), path, value), dataset(), "2d")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{ARGUMENTS}/device", "cuda"),
        (f"{ARGUMENTS}/nonlin_kwargs", {"inplace": {"a": "b"}}),
        (f"{ARGUMENTS}/n_stages", 10**9),
        (f"{ARGUMENTS}/features_per_stage", [4, 10**9]),
        (f"{ARGUMENTS}/features_per_stage", [4]),
        (f"{ARGUMENTS}/kernel_sizes", [[3, 3, 3], [3, 3, 3]]),
        (f"{ARGUMENTS}/conv_op", "torch.nn.modules.conv.Conv3d"),
        (f"{ARGUMENTS}/n_blocks_per_stage", [1, 1]),
        ("configurations/2d/architecture/_kw_requires_import", ["conv_op"]),
        ("configurations/2d/resampling_fn_data_kwargs", {"device": "cuda"}),
        ("configurations/2d/spacing", [1.0, float("nan")]),
        ("configurations/2d/spacing", [1.0, 0.0]),
        ("configurations/2d/patch_size", [16, 16, 16]),
        ("transpose_backward", [1, 0, 2]),
        ("foreground_intensity_properties_per_channel", {}),
        ("configurations", []),
    ],
)
def test_what_does_not_go_together_is_malformed(path: str, value: Any) -> None:
    with pytest.raises(BundleError, match=r"^plans\.json"):
        check_plans(changed(plans(), path, value), dataset(), "2d")


def test_a_cascade_is_refused_as_such() -> None:
    whole = plans(**{"3d_cascade_fullres": {**configuration("3d_fullres"), "previous_stage": "3d_lowres"}})
    with pytest.raises(ModelRefused, match="cascade"):
        check_plans(whole, dataset(), "3d_cascade_fullres")


def test_regions_are_refused_as_such() -> None:
    labels = {"background": 0, "spine": [1, 2], "disc": [2]}
    with pytest.raises(ModelRefused, match="'spine' is a region"):
        check_plans(plans(), dataset(labels=labels), "2d")


def test_two_input_channels_are_refused_as_such() -> None:
    with pytest.raises(ModelRefused, match="2 input channels"):
        check_plans(plans(), dataset(channel_names={"0": "T1", "1": "T2"}), "2d")


def test_a_network_that_old_plans_cannot_have_is_refused() -> None:
    with pytest.raises(ModelRefused, match="UNet_class_name 'Canary'"):
        check_plans(plans(**{"2d": old_configuration("2d", "Canary")}), dataset(), "2d")


@pytest.mark.parametrize(
    "labels",
    [
        {"background": 0, "disc": 2},
        {"background": 1, "disc": 0},
        {"body": 0, "disc": 1},
        {"background": 0, "body": 1, "disc": 1},
        {"background": 0, "ignore": 1, "disc": 2},
        {"background": 0, "body": True},
        {"background": 0, "body": "1"},
        {"background": 0},
        {},
        [],
    ],
)
def test_labels_with_gaps_or_without_background_are_malformed(labels: Any) -> None:
    with pytest.raises(BundleError, match=r"dataset\.json: labels"):
        labels_of(dataset(labels=labels))


def test_an_ignored_label_stands_last() -> None:
    assert labels_of(dataset(labels={"background": 0, "body": 1, "ignore": 2}))["ignore"] == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    found = []
    for key, value in items:
        found.append((document, key))
        if isinstance(value, dict | list):
            found.extend(_places(value))
    return found


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(["new", "old", "inherited"]), JSON)
def test_plans_of_any_shape_are_taken_or_refused_by_name(data: st.DataObject, kind: str, value: Any) -> None:
    described = {
        "new": {"2d": configuration("2d")},
        "old": {"2d": old_configuration("2d")},
        "inherited": {"base": configuration("2d"), "2d": {"inherits_from": "base"}},
    }[kind]
    both = {"plans": plans(**described), "dataset": dataset()}
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(both)
        container, key = places[data.draw(st.integers(0, len(places) - 1))]
        if data.draw(st.booleans()) or container is both:
            container[key] = copy.deepcopy(value)
        else:
            del container[key]
    try:
        check_plans(both["plans"], both["dataset"], "2d")
    except BundleError as error:
        assert str(error).isprintable()


@given(JSON, JSON)
def test_any_json_at_all_is_refused_by_name(one: Any, two: Any) -> None:
    with pytest.raises(BundleError):
        check_plans(one, two, "2d")
