"""The engine in a process of its own: one child a device, and what the node and a child say to each other."""
