"""What the commands print for people."""

from findings_by_hand import doubtful, findings

from node.deliver.document import findings_document
from node.domain.findings import Verdict
from node.show import findings_text


def test_findings_are_a_table_with_levels_and_what_is_to_be_said_of_it():
    assert findings_text(findings_document(doubtful(), {1: 1, 2: 2, 3: 3, 4: 4}, {})).splitlines() == [
        "level  kind                 volume mm3  height mm  depth mm  sure",
        "C4     vertebral_body             3000       12.5      16.2   99%",
        "C4/C5  intervertebral_disc         900          -         -   97%",
        "C5-C6  vertebral_body             5000          -         -   90%  cut by the field of view",
        "(2)    intervertebral_disc         700          -         -     -",
        "total: vertebral_body 8001 mm3, intervertebral_disc 1600 mm3",
        "not in the field of view: C2",
        "absent: C6/C7",
        "lordosis C2 to C7: Cobb 18.5 deg",
        "quality: review",
        "  review, truncated-field-of-view: C5-C6 is cut.",
        "model: oracle 1.0. For tests.",
    ]


def test_nothing_found_is_said_with_its_verdict():
    assert findings_text(findings_document(findings(verdict=Verdict.REJECT), {}, {})).splitlines() == [
        "nothing found",
        "total: ",
        "quality: reject",
        "model: oracle 1.0. For tests.",
    ]
