"""The viewer in a browser: what it shows is where the files say that it is, and every control does what it says."""

import base64
import io
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pydicom
import pytest
from lopsided import COLUMN_MM, Truth, truth_of, write_lopsided
from peers import Orthanc
from playwright.sync_api import Page, Route
from website import LiveNode, faults_in_both_schemes, shot

pytestmark = pytest.mark.peer("chromium", "orthanc")

Visit = Callable[..., Page]
Alter = Callable[[np.ndarray], np.ndarray]
GreyOf = Callable[[np.ndarray, float, float], np.ndarray]

#: Grey values may be rounded either way.
ROUNDING = 1


@pytest.fixture(scope="module")
def lopsided(node: LiveNode, orthanc_of_session: Orthanc) -> tuple[int, Truth]:
    """A delivered case, and what its files say: the images as they were sent, the SEG as the archive has it."""
    return _delivered(node, orthanc_of_session, mirrored=False)


@pytest.fixture(scope="module")
def mirrored(node: LiveNode, orthanc_of_session: Orthanc) -> tuple[int, Truth]:
    """The same neck, its pictures stored upside down and the other way round."""
    return _delivered(node, orthanc_of_session, mirrored=True)


def _delivered(node: LiveNode, orthanc: Orthanc, *, mirrored: bool = False, **headers: Any) -> tuple[int, Truth]:
    name = f"lopsided-{mirrored}-{'-'.join(str(value) for value in headers.values())}"
    files = write_lopsided(node.folder / "sent", name, mirrored=mirrored)
    for file in files if headers else ():
        data_set = pydicom.dcmread(file)
        for keyword, value in headers.items():
            setattr(data_set, keyword, value)
        data_set.save_as(file)
    case = node.until(node.send(files), "delivered")
    images = [pydicom.dcmread(file) for file in files]
    there = orthanc.instances(images[0].StudyInstanceUID)
    [seg] = [one for one in there if one["modality"] == "SEG"]
    return case, truth_of(images, pydicom.dcmread(io.BytesIO(orthanc.file(seg))))


def opened(visit: Visit, case: int, **context: Any) -> Page:
    page = visit(f"/cases/{case}/viewer", **context)
    page.locator("#slice[data-shown]").wait_for()
    return page


def until_shown(page: Page, what: str) -> None:
    """Wait until the canvas shows a state: slice, opacity, outlines, centre, width, veiled and what is hidden."""
    page.wait_for_function("what => document.querySelector('#slice').dataset.shown.startsWith(what)", arg=what)


def go_to(page: Page, index: int, opacity: int) -> None:
    for control, value in (("#at", index + 1), ("#opacity", opacity)):
        page.locator(control).fill(str(value))
    until_shown(page, f"{index} {opacity} ")


def shown(page: Page) -> np.ndarray:
    """Return the canvas as it is: `(rows, columns, 3)`."""
    canvas = page.locator("#slice")
    content = canvas.evaluate(
        "canvas => { const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        " let text = ''; for (const value of all) text += String.fromCharCode(value); return btoa(text); }"
    )
    size = int(canvas.get_attribute("height") or 0), int(canvas.get_attribute("width") or 0), 4
    return np.frombuffer(base64.b64decode(content), dtype=np.uint8).reshape(size)[..., :3].astype(int)


def window(page: Page) -> tuple[float, float]:
    centre, width = (float(page.locator(control).input_value()) for control in ("#centre", "#width"))
    return centre, width


def grey(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1."""
    ramp = ((values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5) * 255  # of a width of 1 there is none
    return np.where(
        values <= centre - 0.5 - (width - 1) / 2, 0, np.where(values > centre - 0.5 + (width - 1) / 2, 255, ramp)
    )


def grey_exact(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.2."""
    ramp = ((values - centre) / width + 0.5) * 255
    return np.where(values <= centre - width / 2, 0, np.where(values > centre + width / 2, 255, ramp))


def grey_sigmoid(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.1."""
    return 255 / (1 + np.exp(-4 * (values - centre) / width))


def inverted(grey_of: GreyOf) -> GreyOf:
    """PS3.3 C.7.6.3.1.2: of MONOCHROME1, the lowest value is shown white after the window has been applied."""
    return lambda values, centre, width: 255 - grey_of(values, centre, width)


def wrong_pixels(page: Page, truth: Truth, slices: Iterable[int] = range(9), grey_of: GreyOf = grey) -> int:
    """Return how many pixels of the slices are not what the files say of their place: alone, and under the labels."""
    wrong = 0
    for index in slices:
        values, numbers = truth.values[index], truth.numbers[index]
        expected = np.repeat(grey_of(values, *window(page))[..., np.newaxis], 3, axis=-1)
        if index % 2 == 0:
            go_to(page, index, 0)
            wrong += int((np.abs(shown(page) - expected) > ROUNDING).any(axis=-1).sum())
        go_to(page, index, 100)
        for number, colour in truth.colours.items():
            expected[numbers == number] = colour
        wrong += int((np.abs(shown(page) - expected) > ROUNDING).any(axis=-1).sum())
    return wrong


def altering(page_of: Visit, case: int, kind: str, alter: Alter) -> Page:
    """Open the viewer with slices that were altered on their way to it."""
    page = page_of("about:blank")

    def altered(route: Route) -> None:
        answer = route.fetch()
        values = np.frombuffer(answer.body(), dtype=np.uint8 if kind == "labels" else np.int16).reshape(190, 80)
        route.fulfill(response=answer, body=np.ascontiguousarray(alter(values)).tobytes())

    page.route(f"**/viewer/*/{kind}/*", altered)
    return page


@pytest.mark.parametrize("stored", ["lopsided", "mirrored"])
def test_every_pixel_is_where_the_files_say_that_it_is(
    visit: Visit, stored: str, request: pytest.FixtureRequest
) -> None:
    case, truth = request.getfixturevalue(stored)
    assert np.count_nonzero(truth.numbers) > 10_000
    assert wrong_pixels(opened(visit, case), truth) == 0


@pytest.mark.parametrize(
    ("kind", "alter"),
    [
        ("labels", lambda plane: plane[:, ::-1]),
        ("labels", lambda plane: plane[::-1]),
        ("labels", lambda plane: np.roll(plane, 1, axis=1)),
        ("image", lambda plane: plane[:, ::-1]),
    ],
    ids=["labels left to right", "labels upside down", "labels one column aside", "image left to right"],
)
def test_an_overlay_that_is_turned_or_moved_is_noticed(
    visit: Visit, site_url: str, lopsided: tuple[int, Truth], kind: str, alter: Alter
) -> None:
    case, truth = lopsided
    page = altering(visit, case, kind, alter)
    page.goto(f"{site_url}/cases/{case}/viewer")
    page.locator("#slice[data-shown]").wait_for()
    assert wrong_pixels(page, truth, [2, 6]) > 100


def test_slices_in_the_wrong_order_are_noticed(visit: Visit, site_url: str, lopsided: tuple[int, Truth]) -> None:
    case, truth = lopsided
    page = visit("about:blank")
    last = len(truth.values) - 1

    def reversed_order(route: Route) -> None:
        address, _, index = route.request.url.rpartition("/")
        route.fulfill(response=route.fetch(url=f"{address}/{last - int(index)}"))

    page.route("**/viewer/*/labels/*", reversed_order)
    page.goto(f"{site_url}/cases/{case}/viewer")
    page.locator("#slice[data-shown]").wait_for()
    assert wrong_pixels(page, truth, [2, 6]) > 100


@pytest.mark.parametrize(
    "headers",
    [
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
        {"PresentationLUTShape": "INVERSE"},
    ],
    ids=["monochrome1", "both", "inverse"],
)
def test_images_whose_lowest_value_is_white_are_shown_so(
    visit: Visit, node: LiveNode, orthanc_of_session: Orthanc, headers: dict[str, str]
) -> None:
    case, truth = _delivered(node, orthanc_of_session, **headers)
    page = opened(visit, case)
    assert wrong_pixels(page, truth, [2, 5, 6], inverted(grey)) == 0
    assert "These images are MONOCHROME1" in page.locator("main").inner_text()


def test_images_that_are_shown_the_other_way_round_are_noticed(
    visit: Visit, site_url: str, node: LiveNode, orthanc_of_session: Orthanc
) -> None:
    """The control."""
    case, truth = _delivered(node, orthanc_of_session, PhotometricInterpretation="MONOCHROME1")
    page = told_otherwise(visit("about:blank"), lowest_is_white=False)
    page.goto(f"{site_url}/cases/{case}/viewer")
    page.locator("#slice[data-shown]").wait_for()
    assert wrong_pixels(page, truth, [2, 6], inverted(grey)) > 10_000
    assert wrong_pixels(page, truth, [2, 6], grey) == 0


FUNCTIONS = {"LINEAR": grey, "LINEAR_EXACT": grey_exact, "SIGMOID": grey_sigmoid}


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_window_of_the_scanner_is_applied_by_its_function(
    visit: Visit, node: LiveNode, orthanc_of_session: Orthanc, function: str, interpretation: str
) -> None:
    """By the first window of two; and greys by another function, or turned the other way, are noticed."""
    case, truth = _delivered(
        node, orthanc_of_session, VOILUTFunction=function, WindowCenter=[350, 900], WindowWidth=[40, 60],
        PhotometricInterpretation=interpretation,
    )  # fmt: skip
    page = opened(visit, case)
    page.locator("#preset").select_option(label="scanner")
    page.wait_for_function("() => document.querySelector('#slice').dataset.shown.includes(' 350 40 ')")
    wrong = {
        (name, turned): wrong_pixels(page, truth, [2, 6], inverted(grey_of) if turned else grey_of)
        for name, grey_of in FUNCTIONS.items()
        for turned in (True, False)
    }
    assert wrong.pop((function, interpretation == "MONOCHROME1")) == 0
    assert min(wrong.values()) > 500


def test_a_window_of_width_one_is_a_step(visit: Visit, lopsided: tuple[int, Truth]) -> None:
    """What lies on it is black: the standard says "less than or equal"."""
    case, truth = lopsided
    values, counts = np.unique(truth.values[[2, 6]], return_counts=True)
    page = opened(visit, case)
    page.locator("#width").fill("1")
    page.locator("#centre").fill(str(values[np.argmax(counts)] + 0.5))
    page.locator("#centre").press("Enter")
    page.wait_for_function("() => document.querySelector('#slice').dataset.shown.includes('.5 1 ')")
    assert wrong_pixels(page, truth, [2, 6]) == 0
    assert page.locator("#width:invalid").count() == 0


def told_otherwise(page: Page, **wrong: Any) -> Page:
    """Let the viewer hear something else of the scene than the node says."""

    def altered(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), **wrong})

    page.route("**/viewer/scene.json", altered)
    return page


def test_the_picture_has_the_shape_of_the_patient(visit: Visit, lopsided: tuple[int, Truth]) -> None:
    case, truth = lopsided
    box = opened(visit, case).locator("#slice").bounding_box()
    assert box is not None
    _, rows, columns = truth.values.shape
    assert box["width"] / box["height"] == pytest.approx(columns * COLUMN_MM / rows, rel=0.01)


def test_the_pointer_names_structure_value_and_place(visit: Visit, lopsided: tuple[int, Truth]) -> None:
    """Row 60 and column 38 lie in C3: 30 mm below the uppermost row (H 90), 38 columns behind the foremost (A 40)."""
    case, truth = lopsided
    page = opened(visit, case)
    go_to(page, 4, 45)
    box = page.locator("#slice").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 38.5 / 80, box["y"] + box["height"] * 60.5 / 190)
    told = page.locator("#pointed").inner_text()
    assert told.startswith("C3 vertebral body, ")
    assert told.endswith(f"mm\u00b3; value {truth.values[4, 60, 38]}; L 0.0, A 9.6, H 30.0 mm")


@pytest.fixture
def page(visit: Visit, node: LiveNode) -> Page:
    """The viewer of a delivered neck; it begins with slice 4 of 9, which shows C2 with its dens."""
    return opened(visit, node.cases["delivered"])


def slice_shown(page: Page) -> str:
    return page.locator("#at-shown").inner_text()


def test_wheel_keys_and_slider_change_the_slice(page: Page) -> None:
    assert slice_shown(page) == "4 of 9"
    page.locator("#slice").hover()
    page.mouse.wheel(0, 120)
    until_shown(page, "5 ")
    page.locator("#picture").focus()
    for key, at in (("ArrowDown", 6), ("PageUp", 5), ("Home", 0), ("ArrowUp", 0), ("End", 8), ("ArrowDown", 8)):
        page.keyboard.press(key)
        until_shown(page, f"{at} ")
    page.locator("#at").focus()
    page.keyboard.press("ArrowLeft")
    until_shown(page, "7 ")
    assert slice_shown(page) == "8 of 9"
    assert page.locator("#at").get_attribute("aria-valuetext") == "8 of 9"


def test_keys_set_opacity_outlines_and_the_veil(page: Page) -> None:
    plain = 1000
    page.locator("#picture").focus()
    page.keyboard.press("ArrowRight")
    until_shown(page, "3 50 false ")
    half = shown(page)
    assert np.abs(half[40, 38] - (grey(np.array(plain), *window(page)) + np.array([230, 97, 1])) / 2).max() <= ROUNDING
    page.keyboard.press("l")
    until_shown(page, "3 50 true ")
    outlined = shown(page)
    assert (outlined[40, 38] == outlined[40, 38, 0]).all()
    assert tuple(outlined[40, 30]) == (230, 97, 1)
    page.keyboard.press("o")
    page.wait_for_function("() => document.querySelector('#slice').dataset.shown.includes(' true ')")
    page.keyboard.press("l")
    until_shown(page, "3 50 false ")
    veiled = shown(page)
    assert (veiled == veiled[..., :1]).all()


def test_a_structure_can_be_hidden_and_sought(page: Page) -> None:
    number = page.get_by_label("C2 vertebral body", exact=False).first
    number.uncheck()
    page.wait_for_function("() => document.querySelector('#slice').dataset.shown.endsWith(' 1')")
    hidden = shown(page)
    assert (hidden[40, 38] == hidden[40, 38, 0]).all()
    assert not (hidden[52, 38] == hidden[52, 38, 0]).all()
    page.locator("#picture").focus()
    page.keyboard.press("Home")
    until_shown(page, "0 ")
    assert page.locator("#in-slice").inner_text() == "No structure in this slice."
    page.get_by_role("button", name="Show C7 vertebral body").click()
    until_shown(page, "2 ")
    assert "C7 vertebral body" in page.locator("#in-slice").inner_text()


def test_the_window_follows_presets_numbers_and_the_mouse(page: Page) -> None:
    before = window(page)
    page.locator("#picture").focus()
    page.keyboard.press("w")
    page.wait_for_function("() => document.querySelector('#preset').value === '1'")
    assert window(page) != before
    page.locator("#width").fill("401")
    page.locator("#centre").fill("600.5")
    page.locator("#centre").press("Enter")
    page.wait_for_function("() => document.querySelector('#slice').dataset.shown.includes(' 600.5 401 ')")
    assert page.locator("#preset").input_value() == "own"
    page.locator("#opacity").fill("0")
    until_shown(page, "3 0 ")
    assert [tuple(shown(page)[100, column]) for column in (10, 55, 38)] == [(0, 0, 0), (128, 128, 128), (255,) * 3]
    box = page.locator("#slice").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 75, middle[1])
    page.mouse.up()
    assert window(page) == (600.5, pytest.approx(401 * 2**0.5, abs=0.1))
    page.get_by_role("button", name="Begin again").click()
    until_shown(page, "3 45 ")
    assert window(page) == before


def test_the_keyboard_alone_points_at_structures(page: Page) -> None:
    page.locator("#picture").focus()
    page.keyboard.press("Shift+ArrowUp")
    page.locator("#pointed", has_text="C").wait_for()
    assert page.locator("#pointed").get_attribute("aria-live") == "polite"
    assert page.locator("#cross").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.querySelector('#pointed').textContent === ''")
    assert page.locator("#cross").is_hidden()


def test_a_larger_picture_keeps_its_shape(page: Page) -> None:
    canvas = page.locator("#slice")
    small = canvas.bounding_box()
    page.locator("#zoom").fill("200")
    large = canvas.bounding_box()
    assert small is not None
    assert large is not None
    assert (large["width"], large["height"]) == pytest.approx((2 * small["width"], 2 * small["height"]), rel=0.01)


def test_it_has_no_serious_accessibility_fault(page: Page) -> None:
    shot(page, "viewer")
    assert faults_in_both_schemes(page) == []


def test_without_javascript_the_drawn_picture_is_there(visit: Visit, node: LiveNode) -> None:
    page = visit(f"/cases/{node.cases['delivered']}/viewer", java_script_enabled=False)
    picture = page.get_by_role("img", name="The cuts that show most of the structures")
    picture.wait_for()
    assert picture.bounding_box() is not None
    shot(page, "viewer-without-javascript")


def test_images_without_a_result_are_shown_alone(visit: Visit, node: LiveNode) -> None:
    page = opened(visit, node.cases["rejected"])
    assert "No structure was segmented" in page.locator("main").inner_text()
    assert page.locator("#opacity").is_disabled()
    assert np.ptp(shown(page)) == 255
    assert faults_in_both_schemes(page) == []


def test_images_that_make_no_volume_are_refused_with_the_reason(visit: Visit, node: LiveNode) -> None:
    page = visit(f"/cases/{node.cases['quarantined']}/viewer")
    assert "The images cannot be shown: a slice is missing" in page.locator("main").inner_text()
    shot(page, "viewer-refused")
    assert faults_in_both_schemes(page) == []


def test_new_results_meanwhile_are_told(visit: Visit, node: LiveNode, site_url: str) -> None:
    page = visit("about:blank", expect_errors=True)
    page.route("**/viewer/*/image/*", lambda route: route.continue_(url=_of_another_key(route.request.url)))
    page.goto(f"{site_url}/cases/{node.cases['delivered']}/viewer")
    page.locator("#failed", has_text="the case has new images or results; load the page again").wait_for()


def _of_another_key(address: str) -> str:
    head, _, tail = address.partition("/viewer/")
    return f"{head}/viewer/{'0' * 16}{tail[16:]}"
