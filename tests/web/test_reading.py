"""Pages for who sees little, uses keys alone, or reads on paper: zoomed to 400 %, by tab, printed."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page
from website import LiveNode

Visit = Callable[..., Page]
pytestmark = pytest.mark.peer("chromium", "orthanc")

#: How far the page is wider than the window; a table may scroll in its own frame (WCAG 2.2, 1.4.10).
_BEYOND = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
#: Whether what has the focus is to be seen, and is seen to have it.
_SEEN = """() => {
  const at = document.activeElement, box = at.getBoundingClientRect();
  return box.width > 0 && box.bottom > 0 && box.top < innerHeight && getComputedStyle(at).outlineStyle !== "none";
}"""
_REACHED = "document.activeElement !== document.body"


def pages(node: LiveNode) -> list[str]:
    cases = [f"/cases/{node.cases[name]}" for name in ("delivered", "quarantined", "sending")]
    return ["/", *cases, f"{cases[0]}/viewer", "/routes", "/peers", "/models", "/system"]


@pytest.mark.parametrize("width", [640, 320])
def test_zoomed_to_200_and_400_percent_nothing_lies_beyond_the_window(node: LiveNode, visit: Visit, width: int) -> None:
    page = visit("/", viewport={"width": width, "height": 450})
    for path in pages(node):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(_BEYOND) <= 0, path


def test_by_tab_everything_is_reached_and_seen_to_be(node: LiveNode, visit: Visit) -> None:
    page = visit("/")
    for path in pages(node):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.keyboard.press("Tab")
        reached = 0
        while page.evaluate(_REACHED) and reached < 200:
            assert page.evaluate(_SEEN), (path, page.evaluate("document.activeElement.outerHTML.slice(0, 200)"))
            page.keyboard.press("Tab")
            reached += 1
        assert 7 <= reached < 200, path


def test_on_paper_no_table_is_cut_off_and_nothing_is_dark(node: LiveNode, visit: Visit) -> None:
    page = visit("/", viewport={"width": 794, "height": 1123})
    page.emulate_media(media="print", color_scheme="dark")
    for path in pages(node):
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate(_BEYOND) <= 0, path
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(254, 254, 254)"
        frames = page.locator(".scroll").evaluate_all("all => all.map((one) => getComputedStyle(one).overflowX)")
        assert set(frames) <= {"visible"}, path
