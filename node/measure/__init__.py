"""From classes to findings: connected structures, their volumes, how far to trust them."""
