"""Findings as pictures for people: upright, face to the left, structures in the colours of their levels."""
