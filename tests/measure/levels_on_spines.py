"""Counts how many structures of drawn spines are named right, not at all, and wrong.

PYTHONPATH=.:tests python tests/measure/levels_on_spines.py --first 20000 --count 300 [--damaged]
"""

import argparse
import sys
from collections import Counter

import numpy as np
from scoring import Score, score
from spine_damage import damage
from spines import LabelledSpine, draw

from node.domain.anatomy import StructureKind
from node.domain.geometry import turn
from node.measure.components import split
from node.measure.head import settled
from node.measure.levels import name
from node.measure.view import cut_by_view

MEANINGS = {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}


def scored(spine: LabelledSpine) -> Score:
    """Return the score of what the node makes of a spine's classes."""
    classes, grid = turn(spine.classes, spine.grid, "LIP")
    column = split(classes, MEANINGS, grid)
    pieces = settled(column, grid).pieces if column else ()
    found = name(pieces, [cut_by_view(piece, grid) for piece in pieces])
    labels = np.zeros(classes.shape, np.uint16)
    for label, piece in enumerate(pieces, start=1):
        labels[tuple(piece.index.T)] = label
    names = {label: one.level.name if one.level else None for label, one in enumerate(found, start=1)}
    return score(spine, turn(labels, grid, spine.grid.orientation())[0], names)


def main() -> None:
    """Print the totals of spines whose C2 is in view, and of those whose C2 is not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=300, help="how many spines")
    parser.add_argument("--damaged", action="store_true", help="with holes, bridges and specks in the classes")
    asked = parser.parse_args()
    totals = {True: Counter(), False: Counter()}
    for seed in range(asked.first, asked.first + asked.count):
        spine = draw(seed)
        spine = damage(spine, seed) if asked.damaged else spine
        one = scored(spine)
        totals[spine.c2_evident].update(spines=1, right=one.right, unnamed=one.unnamed, wrong=one.wrong)
        for detail in one.details if one.wrong else ():
            sys.stdout.write(f"{seed}: {detail}\n")
    for evident, counts in totals.items():
        kind = "C2 evident" if evident else "C2 not evident"
        sys.stdout.write(f"{kind}: {', '.join(f'{value} {key}' for key, value in counts.items())}\n")


if __name__ == "__main__":
    main()
