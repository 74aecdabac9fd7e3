"""What the commands print for people."""

from findings_by_hand import doubtful, findings

from node.domain.findings import Verdict
from node.output.document import findings_document
from node.show import findings_text, overview_text

AT = "2026-01-01T00:00:00"


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


def test_status_is_counts_what_is_owed_and_a_table_of_cases():
    case = {"id": 7, "route": "neck", "series_uid": "1.2.3", "reasons": [], "purged": False}
    sent = {"kind": "SEG", "destination": "archive", "state": "sent", "attempts": 1, "text": None}
    kept = {
        "kind": "SR",
        "destination": None,
        "state": None,
        "attempts": None,
        "text": None,
        "path": "results/7/sr.dcm",
    }
    state = {
        "receiving": 1,
        "cases": {"sending": 1, "held": 1},
        "deliveries": [
            {"destination": "archive", "state": "sent", "count": 1},
            {"destination": "archive", "state": "pending", "count": 2},
            {"destination": "archive", "state": "delivered", "count": 40},
        ],
        "commitments": {"asked": {"archive": 1}, "due": 3},
        "pulls": [
            {"pull": "hourly", "at": AT, "end": "failed", "code": "peer-unreachable", "fetched": 0, "failed": 0},
            {"pull": "nightly", "at": AT, "end": "ended", "code": "", "fetched": 3, "failed": 1},
            {"pull": "weekly", "at": AT, "end": "ended", "code": "", "fetched": 0, "failed": 0},
        ],
        "latest_cases": [
            {**case, "state": "sending", "attempts": 2, "partial": True, "objects": [sent, kept]},
            {**case, "id": 6, "state": "held", "attempts": 0, "partial": False, "objects": []},
        ],
        "latest_quarantined": [
            {"received_at": "2026-01-01T00:00:00", "code": "not-dicom", "text": "no", "path": "quarantine/1.dcm"}
        ],
    }
    assert overview_text(state).splitlines() == [
        "series receiving: 1; cases: 1 sending, 1 held",
        "archive: 1 sent, not confirmed yet; 2 pending",
        "archive: 1 storage commitments asked and not answered",
        "3 storage commitments to be reported",
        "pull hourly: failed 2026-01-01T00:00:00: peer-unreachable",
        "pull nightly: ended 2026-01-01T00:00:00: 3 series fetched, 1 series failed",
        "pull weekly: ended 2026-01-01T00:00:00: nothing was asked for",
        "case  state                        route  series  why / where",
        "7     sending, attempt 2, partial  neck   1.2.3   SEG -> archive: sent, not confirmed yet",
        "                                                  SR in results/7/sr.dcm",
        "6     held                         neck   1.2.3   -",
        "quarantined 2026-01-01T00:00:00: not-dicom: no (quarantine/1.dcm)",
    ]
