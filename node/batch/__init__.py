"""The pipeline over files, without a network."""
