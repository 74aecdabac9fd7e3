"""The sections of the page, in the order of reading, each a `Section`, or None where there is nothing to say."""
