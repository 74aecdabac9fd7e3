"""Which series a route takes: headers as scanners write them, held against the default rules."""

import math
from dataclasses import replace

import pytest

from node.domain.series import SeriesHeader
from node.select import Accepted, Rejected, objections, select
from node.settings import RouteSettings, Rules

ROUTE = RouteSettings(name="cervical")

SIEMENS = SeriesHeader(
    modality="MR",
    study_description="HWS nativ",
    series_description="t2_tse_sag_320",
    protocol_name="t2_tse_sag_320",
    body_part_examined="CSPINE",
    manufacturer="SIEMENS",
    image_type=("ORIGINAL", "PRIMARY", "M", "ND", "NORM", "DIS2D"),
    echo_time_ms=99.0,
    repetition_time_ms=3500.0,
    echo_train_length=17,
    scan_options=("PFP", "SFS"),
    scanning_sequence=("SE",),
    sequence_variant=("SK", "SP", "OSP"),
    sequence_name="*tse2d1_17",
    mr_acquisition_type="2D",
    slice_orientation=(0.998, -0.05, 0.03),
    slices=15,
    rows=384,
    columns=384,
)
GE = replace(
    SIEMENS,
    study_description="MRI CERVICAL SPINE W/O CONTRAST",
    series_description="Sag T2 FRFSE",
    protocol_name="C-Spine routine",
    body_part_examined=None,
    manufacturer="GE MEDICAL SYSTEMS",
    image_type=("ORIGINAL", "PRIMARY", "OTHER"),
    echo_time_ms=102.5,
    repetition_time_ms=2850.0,
    scan_options=("FAST_GEMS", "NPW", "TRF_GEMS", "FILTERED_GEMS"),
    scanning_sequence=("SE",),
    sequence_variant=("SK",),
    slice_orientation=(-1.0, 0.0, 0.0),
    slices=13,
)
PHILIPS = replace(
    SIEMENS,
    study_description="RM RACHIS CERVICAL",
    series_description="T2W_TSE SAG",
    protocol_name="T2W_TSE SAG",
    body_part_examined="SPINE",
    manufacturer="Philips Medical Systems",
    image_type=("ORIGINAL", "PRIMARY", "M_SE", "M", "SE"),
    echo_time_ms=120.0,
    repetition_time_ms=3000.0,
    scan_options=("OTHER",),
    scanning_sequence=("SE",),
)


def codes(header: SeriesHeader, rules: Rules | None = None) -> list[str]:
    return [reason.code for reason in objections(header, rules or Rules())]


def named(study: str | None, series: str | None = "T2 TSE", part: str | None = None) -> SeriesHeader:
    return replace(
        SIEMENS, study_description=study, series_description=series, protocol_name=None, body_part_examined=part
    )


@pytest.mark.parametrize("header", [SIEMENS, GE, PHILIPS], ids=["Siemens", "GE", "Philips"])
def test_a_sagittal_t2_of_the_neck_is_taken(header):
    assert select(header, [ROUTE]) == Accepted(route=ROUTE)


@pytest.mark.parametrize(
    "header",
    [
        named("MRI C-SPINE"),
        named("MR C Spine w/o"),
        named("CSPINE"),
        named("c_spine^routine"),
        named("CSP_NATIV"),
        named("C-SP"),
        named("CT-Spine", "t2_tse_sag"),
        named("HWS"),
        named("MRT Halswirbelsäule"),
        named("RM COLUMNA CERVICAL"),
        named("RM colonna cervicale"),
        named("IRM du rachis cervical"),
        named("RM coluna cervical"),
        named("MRI NECK SOFT TISSUE"),
        named("WHOLE SPINE"),
        named("Total-Spine"),
        named(None, "cervical t2 sag"),
        named(None, "T2 SAG", "CSPINE"),
        named(None, "T2 SAG", "CERVICAL SPINE"),
        named("SPINE", "sag_t2_fse_CERV"),
    ],
)
def test_the_neck_is_recognised_in_several_languages_and_places(header):
    assert codes(header) == []


@pytest.mark.parametrize(
    "header",
    [
        named("MRI LUMBAR SPINE", part="LSPINE"),
        named("LWS nativ"),
        named("BWS"),
        named("MR BRAIN", part="HEAD"),
        named("MRI PELVIS", "T2 SAG", "CERVIX"),
        named("MRI Cervix staging"),
        named("RM RACHIS LOMBAIRE"),
        named("Spine"),
        named("CSPLENDID"),
        named(None, None),
    ],
)
def test_another_region_is_refused(header):
    found = codes(header)
    assert found[0] == "region"
    assert set(found) <= {"region", "other-region"}


@pytest.mark.parametrize(
    "text",
    [
        "STIR SAG",
        "t2_stir_sag",
        "t2_tirm_sag_320",
        "T2W_SPAIR",
        "T2W_SPIR_SAG",
        "SAG SPIR",
        "SAG T2 FAT SAT",
        "sag t2 fatsat",
        "t2_fat_sat",
        "t2_tse_fs_sag",
        "FS T2 SAG",
        "SAG T2 FS",
        "T2 (FS) SAG",
        "SagT2FS",
        "t2_tse_dixon_sag_W",
        "WATER: Sag T2 IDEAL",
        "t2_sag_WATER",
        "SAG FLAIR",
        "ep2d_dwi_sag",
        "DWI SAG",
        "ep2d_diff_sag",
        "sag_ADC",
        "MYELOGRAM T2 SAG",
        "scout",
        "Localizer",
        "localiser_sag",
    ],
)
def test_a_description_of_fat_suppression_diffusion_or_a_scout_is_refused(text):
    assert codes(replace(SIEMENS, series_description=text, protocol_name=None)) == ["excluded-description"]
    assert codes(replace(SIEMENS, series_description=None, protocol_name=text)) == ["excluded-description"]


@pytest.mark.parametrize("text", ["Sag T2 FSE", "sag frFSE T2", "T2 HFS", "inspiration T2", "T2 SPIRAL", "T2 SE 2fsex"])
def test_a_word_that_only_holds_an_excluded_one_is_no_objection(text):
    assert codes(replace(SIEMENS, series_description=text, protocol_name=None)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modality": "CT"}, ["modality"]),
        ({"modality": None}, ["modality"]),
        ({"echo_time_ms": 10.0, "repetition_time_ms": 550.0}, ["echo-time", "repetition-time"]),
        ({"echo_time_ms": 59.9}, ["echo-time"]),
        ({"echo_time_ms": None}, ["echo-time"]),
        ({"repetition_time_ms": 1499.0}, ["repetition-time"]),
        ({"repetition_time_ms": None}, ["repetition-time"]),
        ({"scan_options": ("PFP", "FS")}, ["fat-suppressed"]),
        ({"scan_options": ("fs",)}, ["fat-suppressed"]),
        ({"scanning_sequence": ("SE", "IR")}, ["fat-suppressed"]),
        ({"scanning_sequence": ("IR",), "inversion_time_ms": 160.0, "scan_options": ("FS",)}, ["fat-suppressed"]),
        ({"inversion_time_ms": 160.0}, ["fat-suppressed"]),
        ({"inversion_time_ms": 0.0}, []),
        ({"image_type": ("ORIGINAL", "PRIMARY", "DIXON", "WATER")}, ["image-type"]),
        ({"image_type": ("DERIVED", "PRIMARY", "mip")}, ["image-type"]),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER"), "slices": 3}, ["image-type", "too-few-slices"]),
        ({"image_type": ()}, []),
        ({"slice_orientation": (0.0, 0.0, 1.0)}, ["orientation"]),
        ({"slice_orientation": (0.0, -1.0, 0.0)}, ["orientation"]),
        ({"slice_orientation": None}, []),
        ({"slices": 4}, ["too-few-slices"]),
        ({"slices": 5}, []),
        ({"slices": 0}, ["too-few-slices"]),
    ],
)
def test_each_rule_objects_under_its_own_code(changes, expected):
    assert codes(replace(SIEMENS, **changes)) == expected


@pytest.mark.parametrize(
    ("degrees", "expected"), [(0, []), (29.9, []), (30.1, ["orientation"]), (150.2, []), (180, [])]
)
@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_slices_may_tilt_up_to_the_limit(degrees, expected, plane, axis):
    normal = [0.0, 0.0, 0.0]
    normal[axis], normal[(axis + 1) % 3] = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    assert codes(replace(SIEMENS, slice_orientation=tuple(normal)), Rules(plane=plane)) == expected


def test_any_plane_is_any_plane():
    assert codes(replace(SIEMENS, slice_orientation=(0.0, 0.0, 1.0)), Rules(plane="any")) == []


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (Rules(fat_suppression="present", exclude_description=()), ["fat-not-suppressed"]),
        (Rules(fat_suppression="any"), []),
        (Rules(study_description=("knee",)), ["study-description"]),
        (Rules(study_description=("KNEE", "hws")), []),
        (Rules(series_description=(r"^t1",)), ["series-description"]),
        (Rules(region=()), []),
        (Rules(exclude_description=("tse",)), ["excluded-description"]),
        (Rules(exclude_description=()), []),
        (Rules(minimum_echo_time_ms=0, minimum_repetition_time_ms=0), []),
        (Rules(modality="CT"), ["modality"]),
    ],
)
def test_an_administrator_can_ask_for_something_else(rules, expected):
    assert codes(SIEMENS, rules) == expected


def test_fat_suppression_can_be_asked_for():
    assert codes(replace(SIEMENS, scan_options=("FS",)), Rules(fat_suppression="present")) == []


def test_every_refusal_has_a_code_and_a_sentence_with_its_route_and_never_a_received_text():
    secret = "ZZSECRET"
    header = SeriesHeader(
        modality=secret,
        study_description=secret,
        series_description=f"{secret} STIR",
        protocol_name=secret,
        body_part_examined=secret,
        manufacturer=secret,
        image_type=("LOCALIZER", secret),
        echo_time_ms=12.5,
        scan_options=("FS", secret),
        scanning_sequence=("IR", secret),
        sequence_name=secret,
        slice_orientation=(0.0, 0.6, 0.8),
        slices=3,
    )
    verdict = select(
        header, [RouteSettings(name="neck", accept=Rules(study_description=("x",), series_description=("x",)))]
    )
    assert isinstance(verdict, Rejected)
    assert [(reason.code, reason.text) for reason in verdict.reasons] == [
        ("modality", "neck: Modality is not MR"),
        ("region", "neck: neither descriptions nor BodyPartExamined name the region asked for"),
        ("study-description", "neck: StudyDescription matches no pattern"),
        ("series-description", "neck: SeriesDescription matches no pattern"),
        ("excluded-description", "neck: SeriesDescription or ProtocolName matches an excluded pattern"),
        ("image-type", "neck: ImageType holds LOCALIZER"),
        ("orientation", "neck: the slices are 90 degrees off the sagittal plane"),
        ("echo-time", "neck: EchoTime is 12.5 ms, at least 60 ms is asked for"),
        ("repetition-time", "neck: RepetitionTime is missing, at least 1500 ms is asked for"),
        ("fat-suppressed", "neck: ScanOptions holds fat saturation and the sequence is an inversion recovery"),
        ("too-few-slices", "neck: 3 slices, at least 5 are asked for"),
    ]


def test_an_empty_header_is_refused_for_what_it_does_not_say():
    assert codes(SeriesHeader()) == ["modality", "region", "echo-time", "repetition-time", "too-few-slices"]


def test_the_first_route_that_takes_a_series_wins():
    brain = RouteSettings(name="brain", accept=Rules(region=("brain",)))
    other = RouteSettings(name="other", accept=Rules(region=()))
    assert select(SIEMENS, [brain, ROUTE, other]) == Accepted(route=ROUTE)
    assert select(SIEMENS, [other, ROUTE]) == Accepted(route=other)


def test_when_no_route_takes_a_series_each_says_why():
    brain = RouteSettings(name="brain", accept=Rules(region=("brain",)))
    verdict = select(replace(SIEMENS, slices=2), [brain, ROUTE])
    assert isinstance(verdict, Rejected)
    assert [(reason.code, reason.text.split(":")[0]) for reason in verdict.reasons] == [
        ("region", "brain"),
        ("too-few-slices", "brain"),
        ("too-few-slices", "cervical"),
    ]


@pytest.mark.parametrize(
    "text",
    ["T2 SAG NO FS", "T2 TSE SAG W/O FS", "T2_sag_no_fs", "SAG T2 NON FS", "SAG T2 WITHOUT FAT SAT", "SAG T2 FSE"],
)
def test_a_description_that_denies_fat_suppression_is_taken_at_its_word(text):
    assert codes(replace(SIEMENS, series_description=text, protocol_name=None)) == []


def test_only_the_beginning_of_an_endless_description_is_read():
    endless = replace(SIEMENS, series_description="t2" * 30_000 + " stir")
    assert codes(endless, Rules(exclude_description=["t2.*t2.*stir"])) == []
