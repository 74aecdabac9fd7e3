"""How the starter bundle came about: generated anatomy and the recipe that trains on it."""
