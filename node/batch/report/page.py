"""The page of an evaluation: sections in the order of reading, in one file that needs nothing but a browser."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from node import __version__
from node.batch.evaluate.statistics import Resampling
from node.batch.report.document import Page, Section
from node.batch.report.sections.agreement import agreement_section
from node.batch.report.sections.computed import Computed, computed
from node.batch.report.sections.definitions import definition_section
from node.batch.report.sections.detected import detection_section
from node.batch.report.sections.distribution import distribution_section
from node.batch.report.sections.failures import failure_section
from node.batch.report.sections.groups import group_section
from node.batch.report.sections.levels import level_section
from node.batch.report.sections.models import model_section
from node.batch.report.sections.results import headline, result_section
from node.batch.report.sections.worst import worst_section
from node.batch.report.subject import About, Subject
from node.batch.report.words import capital, counted
from node.durable import write_durably

_TEMPLATE = "report.html.j2"
_STYLE = "report.css"
_DEFAULTS = Resampling()


def write_report(
    out: Path, subjects: Sequence[Subject], about: About, resampling: Resampling = _DEFAULTS
) -> tuple[Computed, ...]:
    """Write the page about one prediction, or about several of the same cases, durably to the file `out`.

    Returns the summaries that the page shows. The same scores, pictures and words give the same bytes. Raises OSError,
    and ValueError where there is no subject or two have one name.
    """
    if not subjects or len({subject.name for subject in subjects}) < len(subjects):
        raise ValueError("a page is about one prediction or several, each with a name of its own")
    every = tuple(computed(subject, resampling) for subject in subjects)
    write_durably(out, [render(page(every, about, resampling)).encode("utf-8")])
    return every


def render(shown: Page) -> str:
    """Return the page as HTML."""
    loader = PackageLoader("node.batch.report", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    style, _, _ = loader.get_source(environment, _STYLE)
    return environment.get_template(_TEMPLATE).render(page=shown, style=style)


def page(every: Sequence[Computed], about: About, resampling: Resampling) -> Page:
    """Return the page as data."""
    subjects = [one.subject for one in every]
    return Page(
        title=about.title,
        lead=" ".join(_told(one, named=len(every) > 1) for one in every),
        facts=tuple(_facts(subjects, about)),
        sections=tuple(section for section in _sections(every, subjects, about, resampling) if section is not None),
        footer=f"Made by cspine-node {__version__}. Cases are named by the pseudonyms of their data set.",
    )


def _sections(
    every: Sequence[Computed], subjects: Sequence[Subject], about: About, resampling: Resampling
) -> Iterable[Section | None]:
    yield result_section(every)
    yield failure_section(subjects)
    yield model_section(every, resampling)
    yield detection_section(every)
    yield level_section(every)
    yield distribution_section(subjects)
    yield agreement_section(subjects)
    yield group_section(every, resampling)
    yield worst_section(subjects, about.worst)
    yield definition_section(subjects[0].scores)


def _told(one: Computed, *, named: bool) -> str:
    """Return how many cases were compared, and the result, in two sentences."""
    cases, failures = one.subject.scores.cases, len(one.subject.scores.failures)
    counts = f"{counted(len(cases), 'case')} of {counted(cases['patient_id'].nunique(), 'patient')} compared"
    failed = f", {counted(failures, 'case')} could not be" if failures else ""
    return f"{f'{one.subject.name}: ' if named else ''}{counts}{failed}. {headline(one)}"


def _facts(subjects: Sequence[Subject], about: About) -> Iterable[tuple[str, str]]:
    scores = subjects[0].scores
    yield "Predictions" if len(subjects) > 1 else "Prediction", ", ".join(subject.name for subject in subjects)
    yield "Label scheme", scores.scheme
    for name, value in scores.options.items():
        yield capital(name.replace("_", " ")), str(value)
    yield from about.facts.items()
