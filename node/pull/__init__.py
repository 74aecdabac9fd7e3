"""Asking archives for what should have come: queries, reconciliation with the journal, retrieval (ADR 25)."""
