"""A dataset of phantoms, laid out as the CSpineSeg download is, with whatever shall be wrong with it.

Independent of the reader in `node.batch.midrc`: what both agree on, they agree on because of the facts.

    verdicts    what a reader has to say of it, as codes of defects
    truth       what was built: `Truth`, `ExamTruth`
    planting    what can be wrong: `PLANTED`, a name and a sentence each
    tree        `build`, `clean`
    exams       who was scanned where: names, scanners and places of the exams
    necks       the phantoms behind them
    dicom, nifti, zips, tables
                the files, written as the download has them
    draft       one exam before it is written; `harm_*` change drafts and tables
"""

from cspineseg.planting import PLANTED, PLANTED_IN_DATASET, PLANTED_IN_EXAMS
from cspineseg.tree import build, clean
from cspineseg.truth import ExamTruth, Truth

__all__ = ["PLANTED", "PLANTED_IN_DATASET", "PLANTED_IN_EXAMS", "ExamTruth", "Truth", "build", "clean"]
