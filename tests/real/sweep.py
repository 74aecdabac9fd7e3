"""A bundle on the three real necks, scanned in many ways: figures for the model card, pictures for the page.

    PYTHONPATH=.:tests .venv/bin/python tests/real/sweep.py BUNDLE OUT.json [--pictures FOLDER] [--plain]
    PYTHONPATH=.:tests .venv/bin/python tests/real/sweep.py --markdown OUT.json

`--plain`: slices of 4 mm alone. The JSON holds for each neck the figures of each scan, and a summary over all;
`--markdown` prints its tables as docs/starter.md has them, and measures nothing.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

from peers import SHARED
from real.montage import montage
from real.necks import NECKS, Witness, landmarks_of, source_of

from node.measure.measure import measure
from node.train.plans import Json
from node.train.realvolumes import PLAIN, SCANS, agreement, measured_scan, read_volume, scanned

_KINDS = ("vertebral_body", "intervertebral_disc")
#: Decimals that mean something here.
_DECIMALS = 3
_HEADS = "bodies once | discs once | across | names right, wrong | farthest disc, its back | outside"


def sweep(engine: Witness, neck: str, *, plain_alone: bool, pictures: Path | None) -> Json:
    """Return the figures of one neck: as a clinical series has it, then of each other scan."""
    voxels, grid = read_volume(source_of(SHARED / "data", neck))
    landmarks = landmarks_of(neck)
    volume = scanned(voxels, grid, PLAIN)
    figures, first = measured_scan(engine, volume, landmarks)
    if pictures is not None:
        (pictures / f"{neck}.jpg").write_bytes(montage(volume, measure(first, volume)))
    scans: Json = {}
    for name, scan in ({} if plain_alone else SCANS).items():
        other = scanned(voxels, grid, scan)
        answer, found = measured_scan(engine, other, landmarks)
        alike = agreement((found, other.grid), (first, volume.grid))
        scans[name] = {**answer, "dice_with_plain": alike}
    return {"plain": figures, "scans": scans}


def summary(necks: Json) -> Json:
    """Return, of the plain scans and of each other one, counts over the necks, and the worst of shares and Dice."""
    plain = _over(figures["plain"] for figures in necks.values())
    names = next(iter(necks.values()))["scans"]
    return {"plain": plain, **{name: _over(figures["scans"][name] for figures in necks.values()) for name in names}}


def _over(figures: Iterable[Json]) -> Json:
    all_figures = list(figures)
    counts = {
        f"{stage}_{kind}": {
            key: sum(one[stage][kind][key] for one in all_figures) for key in all_figures[0][stage][kind]
        }
        for stage in ("answered", "summary")
        for kind in _KINDS
    }
    levels = [level for one in all_figures for level in one["levels"].values() if "/" in level["level"]]
    worst: Json = {
        "strays": sum(one["strays"] for one in all_figures),
        "outside_share": max(one["outside_share"] for one in all_figures),
        "outside_share_answered": max(one["outside_share_answered"] for one in all_figures),
        "farthest_disc_mm": _farthest(levels, "distance_mm"),
        "farthest_back_mm": _farthest(levels, "back_mm"),
        "members": {kind: min(one["members"][kind] or 0.0 for one in all_figures) for kind in _KINDS},
        "verdicts": [one["verdict"] for one in all_figures],
    }
    if "dice_with_plain" in all_figures[0]:
        worst["dice_with_plain"] = {
            kind: min(one["dice_with_plain"][kind] or 0.0 for one in all_figures) for kind in _KINDS
        }
    return {**counts, **worst}


def _farthest(levels: list[Json], key: str) -> float | None:
    return max((level[key] for level in levels if level[key] is not None), default=None)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, _DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value


def markdown(document: Json) -> str:
    """Return the tables of a document: each neck as 4 mm slices, then the other scans."""
    lines = [f"| neck | {_HEADS} | 2d with 3d | verdict |", "|---" * 9 + "|"]
    for neck, figures in document["necks"].items():
        plain = _over([figures["plain"]])
        lines.append(f"| {neck} | {_counts(plain)} | {_share(plain['members'])} | {plain['verdicts'][0]} |")
    lines += ["", f"| scan, all necks | {_HEADS} | with plain |", "|---" * 8 + "|"]
    for scan, figures in document["summary"].items():
        alike = _share(figures["dice_with_plain"]) if "dice_with_plain" in figures else ""
        lines.append(f"| {scan} | {_counts(figures)} | {alike} |")
    return "\n".join(lines)


def _counts(figures: Json) -> str:
    """Return the cells that both tables share."""
    kinds = [figures[f"summary_{kind}"] for kind in _KINDS]
    levels, slices, across, right, wrong = (
        sum(kind[key] for kind in kinds)
        for key in ("levels", "slices", "once_across", "named_rightly", "named_wrongly")
    )
    once = " | ".join(f"{kind['once']} of {kind['levels']}" for kind in kinds)
    distances = (figures["farthest_disc_mm"], figures["farthest_back_mm"])
    farthest = ", ".join("-" if mm is None else f"{mm:.1f} mm" for mm in distances)
    outside = f"{100 * figures['outside_share']:.2f} %"
    return f"{once} | {across} of {slices} | {right} of {levels}, {wrong} | {farthest} | {outside}"


def _share(values: Json) -> str:
    return " / ".join(f"{values[kind]:.2f}" for kind in _KINDS)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?")
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    if options.markdown:
        print(markdown(json.loads(options.out.read_text(encoding="utf-8"))))  # noqa: T201 - what was asked for
        return
    if options.bundle is None:
        parser.error("a bundle folder is needed")
    measure_all(options)


def measure_all(options: argparse.Namespace) -> None:
    """Run the bundle on every neck and write the JSON."""
    engine = Witness(options.bundle)
    if options.pictures is not None:
        options.pictures.mkdir(parents=True, exist_ok=True)
    necks = {neck: sweep(engine, neck, plain_alone=options.plain, pictures=options.pictures) for neck in NECKS}
    made = engine.algorithm
    document = {
        "bundle": {"name": made.bundle_name, "version": made.bundle_version, "digest": made.bundle_digest},
        "engine": made.engine,
        "summary": summary(necks),
        "necks": necks,
    }
    options.out.write_text(json.dumps(_rounded(document), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
