"""Training: the starter bundle on generated anatomy, and models on the public download (`cspineseg/`)."""
