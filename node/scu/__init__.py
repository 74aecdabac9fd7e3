"""Associations that the node asks for as a Service Class User, and what is said on them beside C-STORE."""
