"""Write a dataset of phantoms: `PYTHONPATH=.:tests python -m cspineseg OUT [--exams 60] [--zipped] [--planted a,b]`."""

import argparse
import sys
from pathlib import Path

from cspineseg import PLANTED, build


def main() -> None:
    """Build, and print one line an exam that something was planted in."""
    parser = argparse.ArgumentParser(
        prog="cspineseg",
        description="Write a dataset of phantoms in the layout of the CSpineSeg download.",
        epilog="\n".join(f"{name:32} {text}" for name, text in PLANTED.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--exams", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--zipped", action="store_true", help="four zips instead of four folders")
    parser.add_argument("--shape", type=int, nargs=3, default=(12, 112, 112), metavar=("SLICES", "ROWS", "COLUMNS"))
    parser.add_argument(
        "--planted", default="all", help='names, with commas; "all" of those in exams (default), or "none"'
    )
    args = parser.parse_args()
    names = {"all": None, "none": ()}.get(args.planted, tuple(args.planted.split(",")))
    try:
        truth = build(args.out, args.exams, seed=args.seed, zipped=args.zipped, shape=tuple(args.shape), planted=names)
    except ValueError as error:
        parser.error(str(error))
    for exam in truth.exams:
        for name in exam.planted:
            sys.stdout.write(f"{exam.series_uid}\t{name}\t{PLANTED[name]}\n")
    for name in truth.planted:
        sys.stdout.write(f"dataset\t{name}\t{PLANTED[name]}\n")


if __name__ == "__main__":
    main()
