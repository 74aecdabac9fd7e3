"""Trained models: in from nnU-Net, kept in a library, out again; and what they may ask for."""
