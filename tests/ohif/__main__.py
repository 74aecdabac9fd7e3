"""Takes the pictures of docs/radiologist.md and docs/web.md: `PYTHONPATH=.:tests python -m ohif SERIES OUT`.

SERIES: a DICOM folder, zip or NIfTI image, or "phantom". OUT: the folder of the pictures.
"""

import subprocess
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path

import pydicom
from peers import program
from PIL import Image
from playwright.sync_api import Page
from website import web_page

from node.bootstrap.state import open_journal_for_reading
from node.control import ask
from node.demo.source import files_to_send
from node.settings import load_settings
from node.web.site import Site
from ohif.looking import looking
from ohif.staged import Staged, staged


def main(series: str, out: Path) -> None:
    """Take them."""
    chromium = program("chromium")
    assert chromium is not None, "no chromium"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = files_to_send(None if series == "phantom" else Path(series), folder / "series")
        with staged(files, folder, folder) as stage, looking(stage.address, chromium) as viewer:
            viewer.open(stage.study_uid)
            viewer.page.get_by_text("RESEARCH USE").first.wait_for()
            viewer.picture(out / "ohif-study.jpg")
            viewer.load_segmentation(len(files))
            viewer.show_segments()
            viewer.go_to(len(files) // 2 + 1, len(files))
            viewer.picture(out / "ohif-overlay.jpg")
            _pages(stage, viewer.page, out)
        _key_images(folder / "series" if series == "phantom" else Path(series), folder / "keys", out)


def _pages(stage: Staged, page: Page, out: Path) -> None:
    """Save what the node's own page shows of the same case."""
    settings = load_settings(stage.config)
    with closing(open_journal_for_reading(settings)) as store:
        asked = partial(ask, settings.node.state_dir, patience_s=30)
        with web_page(Site(settings=settings, store=store, ask=asked)) as address:
            for name, path in (("worklist", "/"), ("case", f"/cases/{stage.case}")):
                page.goto(address + path)
                page.screenshot(path=out / f"web-{name}.jpg", type="jpeg", quality=80)
            page.goto(f"{address}/cases/{stage.case}/viewer")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=out / "web-viewer.jpg", type="jpeg", quality=80)


def _key_images(series: Path, results: Path, out: Path) -> None:
    """Save the middle cut and the table as the pictures that a viewer without SEG and SR shows."""
    command = [sys.executable, "-m", "node", "segment", str(series), "--out", str(results), "--key-images"]
    subprocess.run(command, check=True)
    keys = sorted(results.glob("*/key-*.dcm"))
    for name, key in (("key-cut", keys[len(keys) // 2 - 1]), ("key-table", keys[-1])):
        Image.fromarray(pydicom.dcmread(key).pixel_array).save(out / f"{name}.jpg", quality=80)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
