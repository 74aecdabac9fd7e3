"""Received files become series, and a series becomes one regular volume or a named refusal.

`headers` reads what the rules and the geometry need, `volume` stacks the frames, `pixels` decodes them; `elements`
is the bounded reader beneath.
"""
