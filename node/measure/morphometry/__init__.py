"""Outlines in the mid-sagittal section of a structure, and what is measured on them."""
