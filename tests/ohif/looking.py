"""A browser in which OHIF shows a study, and what it shows."""

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

#: WebGL in software: OHIF draws with it, and a server has no graphics.
_BROWSER = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_PATIENCE_MS = 120_000

#: Each slice of the label map that cornerstone holds: the instance that it lies on, rows, columns, bytes in base64.
_LABEL_MAP = """() => [...window.cornerstone.cache._imageCache]
    .filter(([name, held]) => name.startsWith("derived:") && held.image)
    .map(([, { image }]) => [
        image.referencedImageId.match(/instances\\/([0-9.]+)/)[1], image.rows, image.columns,
        btoa(Array.from(image.getPixelData(), (value) => String.fromCharCode(value)).join(""))])"""
_LOADED = """(slices) => [...window.cornerstone.cache._imageCache]
    .filter(([name, held]) => name.startsWith("derived:") && held.image).length === slices"""


class Ohif:
    """One page of OHIF."""

    def __init__(self, page: Page, address: str) -> None:
        page.set_default_timeout(_PATIENCE_MS)
        self.page = page
        self._address = address

    def open(self, study_uid: str) -> None:
        """Open a study, and close what OHIF greets with."""
        self.page.goto(f"{self._address}/viewer?StudyInstanceUIDs={study_uid}")
        self.page.get_by_text("Skip all").click()
        self.page.get_by_text("Confirm and hide").click()

    def load_segmentation(self, slices: int) -> None:
        """Load the study's segmentation onto its series of so many slices, as a radiologist does."""
        self.page.locator('[data-cy="study-browser-thumbnail-no-image"]', has_text="SEG").first.dblclick()
        self.page.get_by_text("Yes", exact=True).click()
        self.page.wait_for_function(_LOADED, arg=slices)

    def labels(self) -> dict[str, NDArray[np.uint8]]:
        """Return what lies on each source instance, by its SOP Instance UID: `(rows, columns)`, segment numbers."""
        return {
            uid: np.frombuffer(base64.b64decode(content), np.uint8).reshape(rows, columns)
            for uid, rows, columns, content in self.page.evaluate(_LABEL_MAP)
        }

    def show_segments(self) -> None:
        """Open the list of segments at the right."""
        self.page.locator('[data-cy="panelSegmentation-btn"]').click()

    def go_to(self, slice_number: int, slices: int) -> None:
        """Scroll to a slice, counted from 1."""
        self.page.locator('[data-cy="viewport-pane"]').hover()
        self.page.keyboard.press("Home")
        for _ in range(slice_number - 1):
            self.page.keyboard.press("ArrowDown")
        self.page.get_by_text(f"({slice_number}/{slices})").wait_for()

    def picture(self, path: Path) -> None:
        """Take a picture of the page."""
        self.page.screenshot(path=path, type="jpeg", quality=80)


@contextlib.contextmanager
def looking(address: str, chromium: str) -> Iterator[Ohif]:
    """Open a browser on OHIF at `address`."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*_BROWSER, "--ignore-gpu-blocklist"])
        try:
            yield Ohif(browser.new_page(viewport={"width": 1400, "height": 860}), address)
        finally:
            browser.close()
