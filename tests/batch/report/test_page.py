"""The page as a reader's browser gets it: whole, alone, escaped, and with the numbers of the tables."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from node.batch.evaluate.scores import CASE_COLUMNS, FAILURE_COLUMNS, SCORE_COLUMNS, Scores
from node.batch.evaluate.statistics import Resampling
from node.batch.report.page import write_report
from node.batch.report.pictures import View
from node.batch.report.subject import About, Subject
from node.domain.geometry import Grid
from node.errors import NiftiRefused

Drawn = Callable[..., Scores]

QUICK = Resampling(resamples=99)
ABOUT = About(title="Ensemble against experts", facts={"Bundle digest": "0f3c"}, worst=2)
VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta"}


class Reader(HTMLParser):
    """Keeps open tags in order, and what a browser would load."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.targets: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.handle_startendtag(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        found = dict(attrs)
        self.attributes.append((tag, found))
        self.targets += [
            str(found[name]) for name in ("src", "href", "xlink:href", "srcset", "action") if name in found
        ]
        if "id" in found:
            self.ids.append(str(found["id"]))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def written(folder: Path, *subjects: Subject, about: About = ABOUT) -> str:
    write_report(folder / "report.html", subjects, about, QUICK)
    return (folder / "report.html").read_text(encoding="utf-8")


def view(_key: str) -> View:
    reference = np.zeros((5, 40, 30), dtype=np.uint8)
    reference[1:4, 10:20, 10:20], reference[1:4, 20:24, 10:20] = 1, 2
    grid = Grid(shape=(5, 40, 30), affine=np.diag([4.0, 1.0, 1.0, 1.0]))
    return View(grid=grid, image=reference * 50, prediction=np.roll(reference, 1, axis=1), reference=reference)


@pytest.fixture(scope="module")
def page(tmp_path_factory, drawn) -> str:
    return written(tmp_path_factory.mktemp("page"), Subject(name="ensemble", scores=drawn(60), view=view))


def few(values: dict[str, list[float]], **about: object) -> Scores:
    """Return scores with these Dice a class, a case a value, each of its own patient."""
    count = max(map(len, values.values()), default=0)
    keys = [f"case-{number}" for number in range(count)]
    rows = [
        (key, name, "class", "dice", dice)
        for name, dices in values.items()
        for key, dice in zip(keys, dices, strict=True)
    ]
    cases = pd.DataFrame(
        {**{name: [np.nan] * count for name in CASE_COLUMNS}, "key": keys, "patient_id": keys, **about}
    )
    return Scores(
        cases=cases,
        scores=pd.DataFrame(rows, columns=list(SCORE_COLUMNS)),
        failures=pd.DataFrame([], columns=list(FAILURE_COLUMNS)),
        scheme="cspineseg",
        options={"tolerance_mm": 1.0},
    )


def test_every_tag_is_closed_and_no_identifier_stands_twice(page):
    reader = read(page)
    assert (reader.open, reader.wrong) == ([], [])
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_loads_nothing_from_anywhere(page):
    reader = read(page)
    assert all(target.startswith(("#", "data:image/png;base64,")) for target in reader.targets)
    assert "<script" not in page
    assert "<link" not in page
    assert "@import" not in page
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert set(re.findall(r"https?://[^\s\"<]+", page)) <= {"http://www.w3.org/2000/svg"}


def test_links_within_the_page_lead_somewhere(page):
    reader = read(page)
    assert {target[1:] for target in reader.targets if target.startswith("#")} <= set(reader.ids)


def test_the_sections_stand_in_the_order_of_reading(page):
    assert re.findall(r'<h2 id="([a-z]+)"', page) == [
        *("results", "failures", "detection", "levels", "distribution", "volumes", "groups", "worst", "definitions")
    ]


def test_heads_of_tables_say_what_they_head_and_pictures_have_words(page):
    reader = read(page)
    assert all(found.get("scope") in {"col", "row"} for tag, found in reader.attributes if tag == "th")
    assert all(found.get("alt") for tag, found in reader.attributes if tag == "img")
    assert all(found.get("aria-label") for tag, found in reader.attributes if tag == "svg")


def test_no_date_stands_on_the_page(page):
    assert not re.search(r"20\d\d-\d\d-\d\d", page)


def test_the_same_scores_give_the_same_bytes(page, tmp_path, drawn):
    assert written(tmp_path, Subject(name="ensemble", scores=drawn(60), view=view)) == page


def test_the_main_table_has_the_mean_and_the_published_figure_beside_its_own(tmp_path):
    scores = few({"vertebrae": [0.9, 0.8], "discs": [0.7, 0.75]})
    paper = pd.DataFrame(
        [(f"case-{n}", "vertebrae", "class", "slice_mean_dice", v) for n, v in enumerate((0.96, 0.94))],
        columns=list(SCORE_COLUMNS),
    )
    words = read(
        written(tmp_path, Subject(name="a", scores=replace(scores, scores=pd.concat([scores.scores, paper]))))
    ).words
    assert "Vertebrae 2 0.850 0.800 to 0.900 0.950 0.940 to 0.960" in words
    assert "Vertebrae as published 100 \N{EN DASH} 0.929" in words
    assert "lies above the volumetric Dice" in words


def test_means_detection_levels_and_volumes_are_those_of_the_scores(page, drawn):
    scores, words = drawn(60), read(page).words
    dice = scores.values("dice", group="class", structure="vertebrae")["value"].mean()
    c5 = scores.values("dice", group="level", structure="C5")["value"]
    hits = scores.values("true_positives", group="detection", structure="discs")["value"].sum()
    missed = scores.values("false_negatives", group="detection", structure="discs")["value"].sum()
    extra = scores.values("false_positives", group="detection", structure="discs")["value"].sum()
    assert f"Vertebrae 60 {dice:.3f}" in words
    assert f"C5 60 {c5.mean():.3f}" in words
    assert (
        f"Discs 60 {hits:.0f} {missed:.0f} {extra:.0f} {hits / (hits + extra):.3f} {hits / (hits + missed):.3f}"
        in words
    )
    volume = {
        side: scores.values(f"volume_{side}_mm3", group="class", structure="discs")["value"]
        for side in ("prediction", "reference")
    }
    bias = (volume["prediction"] - volume["reference"]).mean() / 1000
    assert f"Discs 60 \N{MINUS SIGN}{-bias:.2f}" in words


def test_levels_stand_from_the_head_to_the_feet(page):
    table = page[page.index("<caption>Volumetric Dice by level") :]
    table = table[: table.index("</table>")]
    assert re.findall(r'scope="row">([^<]+)', table) == [
        *("C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6", "C6", "C6/C7", "C7", "C7/T1", "T1")
    ]


def test_failures_are_listed_with_their_reasons(page):
    words = read(page).words
    assert "2 cases could not be compared and enter no figure" in words
    assert "593973-000902_Study-MR-1_Series-4 nifti-refused its voxels cannot be read: EOFError" in words


def test_groups_too_small_are_marked(page):
    assert "weak Reference, expert or weak, few patients 3 3 patients" in read(page).words


def test_the_worst_cases_come_first_with_a_picture_each(page, drawn):
    table = drawn(60).values("dice", group="mean").sort_values("value")
    assert re.findall(r"<h4>([^<]+)</h4>", page) == table["key"].head(2).tolist()
    assert page.count("data:image/png;base64,") == 2


def test_hostile_words_are_escaped(tmp_path):
    evil = '<script>alert(1)</script>"&$x_1$'
    scores = few({"vertebrae": [0.9, 0.8, 0.7]}, sex=[evil, "Male", "Male"])
    scores = replace(
        scores,
        cases=scores.cases.assign(key=[evil, "b", "c"]),
        scores=scores.scores.assign(key=[evil, "b", "c"], structure=evil),
        failures=pd.DataFrame([(evil, evil, evil)], columns=list(FAILURE_COLUMNS)),
        scheme=evil,
        options={evil: evil},
    )
    html = written(tmp_path, Subject(name=evil, scores=scores), about=About(title=evil, facts={evil: evil}))
    reader = read(html)
    assert "script" not in {tag for tag, _ in reader.attributes}
    assert (reader.open, reader.wrong) == ([], [])
    assert evil in reader.words


def test_what_nobody_knows_is_said(tmp_path):
    scores = few({"vertebrae": [0.9, 0.8]}, manufacturer=["GE", "GE"])
    words = read(
        written(tmp_path, Subject(name="a", scores=replace(scores, cases=scores.cases.drop(columns="sex"))))
    ).words
    assert "Sex: unknown for every case; the tables do not say." in words
    assert "Manufacturer: every case of which it is known is of one group (GE); there is nothing to compare." in words


def test_a_single_case_has_figures_and_no_intervals(tmp_path):
    words = read(written(tmp_path, Subject(name="a", scores=few({"vertebrae": [0.9]})))).words
    assert "Volumetric Dice: vertebrae 0.900." in words
    assert "1 case of 1 patient compared." in words


def test_no_case_at_all_is_said(tmp_path):
    words = read(written(tmp_path, Subject(name="a", scores=few({})))).words
    assert "0 cases of 0 patients compared. No case could be compared." in words
    assert "No case has a figure." in words


def test_a_page_of_failures_alone_lists_them(tmp_path):
    failures = pd.DataFrame([(f"case-{n}", "grid-mismatch", "off") for n in range(20)], columns=list(FAILURE_COLUMNS))
    html = written(tmp_path, Subject(name="a", scores=replace(few({}), failures=failures)))
    assert "20 cases could not be compared" in read(html).words
    assert html.count("grid-mismatch") == 20


def test_a_class_that_no_case_has_is_left_out(tmp_path):
    scores = few({"vertebrae": [0.9, 0.8], "discs": [np.nan, np.nan]})
    html = written(tmp_path, Subject(name="a", scores=scores))
    assert 'scope="row">Discs' not in html[: html.index('id="definitions"')]


def test_a_case_whose_files_are_gone_has_its_figures_and_no_picture(tmp_path):
    def gone(key: str) -> View:
        raise NiftiRefused(f"{key}: gone")

    html = written(tmp_path, Subject(name="a", scores=few({"vertebrae": [0.9, 0.4]}), view=gone))
    assert "No picture: nifti-refused." in html
    assert html.index("<h4>case-1") < html.index("<h4>case-0")


def test_several_predictions_are_compared_in_pairs(tmp_path):
    one, two = few({"vertebrae": [0.9, 0.8, 0.85, 0.7]}), few({"vertebrae": [0.8, 0.7, 0.75, 0.6]})
    html = written(tmp_path, Subject(name="2d", scores=one), Subject(name="3d", scores=two))
    words = read(html).words
    assert "Comparison of the predictions" in words
    assert "2d / 3d Vertebrae Dice 4 0.100 0.100 to 0.100 1.00 0.125 0.125" in words
    assert (read(html).open, len(read(html).ids)) == ([], len(set(read(html).ids)))


def test_two_predictions_of_one_name_are_refused(tmp_path):
    subject = Subject(name="a", scores=few({"vertebrae": [0.9]}))
    with pytest.raises(ValueError, match="name of its own"):
        written(tmp_path, subject, subject)
