"""The measurements: against nnU-Net's own commands, end to end through a live node, and against the device itself."""
