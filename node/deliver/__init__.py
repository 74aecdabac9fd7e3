"""Bringing results where they belong: to peers over C-STORE, or into a folder."""
