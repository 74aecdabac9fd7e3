"""The codecs of compressed pixel data, in a process of their own: they are C, and they read what strangers send."""
