"""Bringing results where they belong: to archives over C-STORE or STOW-RS, or into a folder."""
