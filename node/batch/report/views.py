"""What there is to see of the cases of an evaluation, read again from their files."""

import tempfile
from pathlib import Path

from node.batch.evaluate.evaluate import open_image, open_pair
from node.batch.evaluate.pairs import Pairs
from node.batch.evaluate.scheme import Scheme
from node.batch.report.pictures import View
from node.batch.report.subject import ViewOf


def views_of(found: Pairs, scheme: Scheme) -> ViewOf:
    """Return what gives the view of a case by its key; an image on other voxels than the reference is not shown.

    It raises KeyError for a key that is none of the pairs, NodeError and OSError where files cannot be read.
    """
    by_key = {pair.key: pair for pair in found.pairs}

    def view(key: str) -> View:
        pair = by_key[key]
        with tempfile.TemporaryDirectory(prefix="cspine-node-") as name:
            opened = open_pair(pair, scheme, Path(name))
            image = open_image(pair, opened.grid, Path(name))
        return View(grid=opened.grid, image=image, prediction=opened.prediction, reference=opened.reference)

    return view
