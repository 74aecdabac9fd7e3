"""The node in figures: for Prometheus, for health checks.

What has happened is counted from the journal's trail (`tally.py`), what stands is read from its tables (`standing.py`),
and what only the running node knows it is asked for (`figures.py`). `catalogue.py` names every metric.
"""
