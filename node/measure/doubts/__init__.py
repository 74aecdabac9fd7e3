"""What can speak against a result, one kind of doubt a module."""
