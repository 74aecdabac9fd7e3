"""The CSpineSeg download as it comes: layout, tables, what belongs together, what is missing or contradictory."""
