"""The main job on one machine: an archive, a node, a series sent over the network, the results back in the archive."""
