"""What is known of a case, as files: for people, for scripts, and for a journal that was lost."""
