"""The anatomy that the generator draws: a spine by published sizes, and what surrounds it."""
