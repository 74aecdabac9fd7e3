"""From a volume to classes: the bundle on disk, the networks in memory, the ensemble of their answers."""
