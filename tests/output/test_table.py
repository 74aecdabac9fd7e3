"""`measurements.tsv`: the columns and names that spreadsheets of users stand on."""

import csv
import io

from findings_by_hand import doubtful, findings

from node.output.table import measurements_tsv

HEAD = "structure\tkind\tlevel\tquantity\tvalue\tunit\tlevel_confidence\ttruncated"


def test_the_table_is_this():
    assert measurements_tsv(doubtful()).splitlines() == [
        HEAD,
        "C4\tvertebral_body\tC4\tvolume\t3000.1234567890124\tmm3\t0.98765\tfalse",
        "C4\tvertebral_body\tC4\theight_middle\t12.5\tmm\t0.98765\tfalse",
        "C4\tvertebral_body\tC4\tdepth\t16.25\tmm\t0.98765\tfalse",
        "C4/C5\tintervertebral_disc\tC4/C5\tvolume\t900.0\tmm3\t0.97\tfalse",
        "C4/C5\tintervertebral_disc\tC4/C5\tdisc_height_index\t0.41\t1\t0.97\tfalse",
        "C5-C6\tvertebral_body\tC5-C6\tvolume\t5000.5\tmm3\t0.9\ttrue",
        "intervertebral_disc 2\tintervertebral_disc\t\tvolume\t700.0\tmm3\t0.4\tfalse",
        "C4 on C5-C6\tpair\tC4/C5\tslip\t-1.5\tmm\t0.9\ttrue",
        "vertebral_body total\ttotal\t\tvolume\t8000.623456789012\tmm3\t\t",
        "intervertebral_disc total\ttotal\t\tvolume\t1600.0\tmm3\t\t",
        "cervical spine\tcurvature\t\tlordosis_cobb\t18.5\tdeg\t\t",
    ]


def test_a_table_of_nothing_has_its_head():
    assert measurements_tsv(findings()) == HEAD + "\n"


def test_a_number_reads_back_as_the_number_that_was_measured():
    rows = csv.DictReader(io.StringIO(measurements_tsv(doubtful())), delimiter="\t")
    volumes = {row["structure"]: float(row["value"]) for row in rows if row["quantity"] == "volume"}
    assert (volumes["C4"], volumes["vertebral_body total"]) == (3000.1234567890124, 8000.623456789012)
