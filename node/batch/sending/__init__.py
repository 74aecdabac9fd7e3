"""The results of a batch go to an archive: case by case, images first where asked for, then SEG, then SR.

parcels     which files of a case a destination takes
way         one destination: sent, tried again, asked whether it has them
send        every case that is done and that this destination does not have, with a ledger of its own:
            OUT/sending/<destination>/ledger/*.jsonl
"""

from node.batch.sending.send import Failure, SendReport, cases_of, send_batch
from node.batch.sending.way import Way, way_of

__all__ = ["Failure", "SendReport", "Way", "cases_of", "send_batch", "way_of"]
