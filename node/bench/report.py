"""The figures as tables: for a terminal, and as Markdown for `docs/benchmarks.md`, from the same JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
Row = tuple[str, str]

_MIB = 1024 * 1024
_GIB = 1024 * _MIB
_TERA = 1e12


def rows(document: Json) -> list[Row]:
    """Return the figures of one run: what it is, and its value in words."""
    found: list[Row] = []
    for name, render in (("r1", _r1), ("r2", _r2), ("r3", _r3), ("results", _results), ("memory", _memory)):
        if name in document:
            found.extend(render(document[name]))
    return found


def text(document: Json) -> str:
    """Return the figures for a person."""
    table = rows(document)
    width = max((len(name) for name, _ in table), default=0)
    return "\n".join([*_about(document), *(f"{name:<{width}}  {value}" for name, value in table)])


def markdown(document: Json) -> str:
    """Return the figures as a Markdown section."""
    about, machine = _about(document)
    lines = [f"### {about}", "", f"{machine}.", "", "| figure | value |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows(document)]
    return "\n".join(lines) + "\n"


def complaints(document: Json) -> list[str]:
    """Return what must not be so: an engine in mode reference that differs from nnU-Net's commands."""
    differing = document.get("r1", {}).get("agreement", {}).get("reference", {}).get("differing_ppm", 0.0)
    return [f"mode reference differs from nnU-Net's commands in {differing} voxels per million"] if differing else []


def _about(document: Json) -> list[str]:
    subject, machine = document["subject"], document["machine"]
    volume, bundle = subject["volume"], subject["bundle"]
    shape = " x ".join(str(size) for size in volume["shape"])
    spacing = " x ".join(f"{value:g}" for value in volume["spacing_mm"])
    mirrors = "with mirrors" if subject["mirroring"] else "without mirrors"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if version)
    place = machine["gpu"] if subject["device"] != "cpu" and machine["gpu"] else "CPU"
    return [
        f"{bundle['name']} {bundle['version']}, {', '.join(subject['members'])}, {mirrors}, {place}, {shape} voxels",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / _GIB:.0f} GiB, "
        f"{machine['gpu'] or 'no GPU'}; {versions}; {volume['source']}, {spacing} mm, "
        f"{subject['repetitions']} repetitions",
    ]


def _r1(found: Json) -> Iterable[Row]:
    official, engine = found["official"], found["engine"]
    yield "R1 warm engine / nnU-Net's commands", f"{found['ratio']:.3f}"
    yield "nnU-Net's commands", _seconds(official["seconds"])
    yield from ((f"- {name}", _seconds(spent)) for name, spent in official["steps_s"].items())
    yield "warm engine", _seconds(engine["seconds"])
    yield from ((f"- {name}", _seconds(spent)) for name, spent in engine["stages_s"].items())
    yield "CPU time, commands", _seconds(official["cpu_s"])
    yield "CPU time, engine", _seconds(engine["cpu_s"])
    if engine["non_network_cpu_s"]:
        yield "CPU time, engine without the networks", _seconds(engine["non_network_cpu_s"])
    yield "start of the engine, first answer included", f"{engine['start_s']:.1f} s"
    yield "peak host memory, commands", _mib(official["peak_host_bytes"])
    yield "peak host memory, engine", _mib(engine["peak_host_bytes"])
    for name, side in (("commands", official), ("engine", engine)):
        if side["peak_device_bytes"]:
            yield f"peak device memory, {name}", _mib(side["peak_device_bytes"])
    for mode, agreement in found["agreement"].items():
        dice = ", ".join(
            f"{kind} {'-' if value is None else f'{value:.6f}'}" for kind, value in agreement["dice"].items()
        )
        yield f"mode {mode}: voxels that differ", f"{agreement['differing_ppm']:g} per million; Dice {dice}"


def _r2(found: Json) -> Iterable[Row]:
    yield "R2 end to end / networks alone", f"{found['ratio']:.2f}, p95 {found['ratios']['p95']:.2f}"
    yield "last C-STORE answered to SEG and SR in the archive", _seconds(found["seconds"])
    yield "networks alone", _seconds(found["network_s"])
    yield from ((f"- stage {name}", _seconds(spent)) for name, spent in found["stages_s"].items())
    yield "archive", f"{found['archive']}; {found['watched_by']}; quiet_s = {found['quiet_s']:g}"


def _r3(found: Json) -> Iterable[Row]:
    if found["ratio"] is not None:
        yield "R3 networks / roofline", f"{found['ratio']:.2f}"
        yield "roofline", f"{found['roofline_s']:.4f} s at {found['peak_gflop_per_s'] / 1000:.0f} TFLOP/s"
    yield "networks", _seconds(found["network_s"])
    yield "arithmetic of one answer", f"{found['flops'] / _TERA:.3f} TFLOP"
    yield "achieved", f"{found['achieved_gflop_per_s']:.0f} GFLOP/s"
    for work in found["members"]:
        yield (
            f"- {work['configuration']}",
            f"{work['parameters'] / 1e6:.1f} M parameters, {work['flops_a_forward'] / 1e9:.0f} GFLOP a forward, "
            f"{work['tiles']} tiles x {work['mirrors']} mirrors x {work['folds']} folds",
        )


def _results(found: Json) -> Iterable[Row]:
    yield "CPU time of measuring", f"{_seconds(found['measure_cpu_s'])}; {found['structures']} structures"
    yield "CPU time of SEG and SR, read back", _seconds(found["encode_cpu_s"])


def _memory(found: Json) -> Iterable[Row]:
    yield "engine's memory after the warm-up", _mib(found["resident_bytes_warm"])
    yield f"growth over {found['cases']} cases", f"{found['growth_bytes'] / _MIB:+.1f} MiB"


def _seconds(spent: Json) -> str:
    return f"{spent['median']:.3f} s, p95 {spent['p95']:.3f} s"


def _mib(size: int) -> str:
    return f"{size / _MIB:.0f} MiB"


def many(documents: Sequence[Json]) -> str:
    """Return several runs as Markdown, one section each."""
    return "\n".join(markdown(document) for document in documents)
