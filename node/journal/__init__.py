"""The one durable state: what arrived, what became of it, what was sent where."""
