"""Twenty real labelled lumbar slices (sulaimanvesal/vertebraeSegementation, MIT): some may join the training.

`images/N.png` are 256 x 256 pixels of unknown size, head up, back to the right; `masks/N.npy` hold 1 disc and 2
vertebral body, the other way round from CSpineSeg. What is labelled fits CSpineSeg's rule: bodies without pedicles and
posterior elements, discs with their bulge. Fifteen slices have both classes, two have discs only, three nothing
although bodies are cut at their side: only the fifteen are used. Bodies above the first and below the last labelled
one are often left out, so that nothing is learnt there.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from node.errors import InputError
from node.train.augmentation import Scale
from node.train.pool import UNKNOWN, Case

#: Slices with both classes, drawn once by numpy's `default_rng(5).permutation(20)`: the first eight join, seven do not.
TRAINING = (2, 3, 7, 9, 11, 16, 18, 19)
KEPT_APART = (4, 6, 8, 12, 14, 15, 17)

#: Lumbar fields of 280 to 300 mm make pixels of about 1.1 mm; the training sees 0.8 mm. Both sizes are shown.
_ENLARGED = 1.3
_SCALE = Scale(least=0.6, most=1.25)
_SWAP = np.array([0, 2, 1], dtype=np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class LumbarSlices:
    """Cases of one slice each that join a training."""

    cases: list[Case]
    share: float = 0.1  #: how often a patch is one of these
    scale: Scale = _SCALE

    @classmethod
    def training(cls, folder: Path) -> "LumbarSlices":
        """Return those that may be trained on. Raises InputError when `folder` does not hold them."""
        return cls(cases=[_case(*read_slice(folder, number)) for number in TRAINING])

    def draw(self, rng: np.random.Generator) -> Case:
        """Return one of them."""
        return self.cases[int(rng.integers(len(self.cases)))]


def read_slice(folder: Path, number: int) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return picture and labels (rows to the head, columns to the back), 0 background, 1 body, 2 disc.

    `folder` holds `images` and `masks`, itself or in a folder below it. Raises InputError.
    """
    roots = [root for root in (folder, *sorted(folder.glob("*"))) if (root / "images" / f"{number}.png").is_file()]
    try:
        with Image.open(roots[0] / "images" / f"{number}.png") as file:
            picture = np.asarray(file.convert("L"), dtype=np.float32)
        labels = _SWAP[np.load(roots[0] / "masks" / f"{number}.npy")]
    except (LookupError, OSError, ValueError) as error:
        raise InputError(f"{folder}: no labelled slice {number}: {type(error).__name__}") from error
    if labels.shape != picture.shape:
        raise InputError(f"{folder}: picture and mask of slice {number} differ in size")
    return picture[::-1].copy(), labels[::-1].copy()


def _case(picture: NDArray[np.float32], labels: NDArray[np.int8]) -> Case:
    """Return the slice as nnU-Net would z-score it, enlarged, unknown where nobody labelled."""
    rows = np.flatnonzero(labels.any(axis=1))
    known = np.full_like(labels, UNKNOWN)
    known[rows[0] : rows[-1] + 1] = labels[rows[0] : rows[-1] + 1]
    z_score = (picture - picture.mean()) / picture.std()
    return Case(
        image=ndimage.zoom(z_score, _ENLARGED, order=1)[None].astype(np.float16),
        labels=ndimage.zoom(known, _ENLARGED, order=0)[None],
    )
