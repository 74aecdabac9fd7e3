"""`python -P unwritable.py ...`: `cspine-node ...` with what the receiver's unit asks for by MemoryDenyWriteExecute.

The kernel then refuses every mapping that is written and executed (PR_SET_MDWE, prctl(2), Linux 6.3), as systemd's
filter of system calls does, here and in every process that it starts.
"""

import ctypes
import sys

_PR_SET_MDWE = 65
_PR_MDWE_REFUSE_EXEC_GAIN = 1
#: Exit code where the kernel does not know it.
UNKNOWN = 77

if __name__ == "__main__":
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_MDWE, _PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        sys.exit(UNKNOWN)
    from node.cli import main

    main()
