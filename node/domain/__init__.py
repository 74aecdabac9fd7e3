"""What the node talks about: frozen types and pure functions, nothing but the standard library and numpy."""
