"""The composition root: settings in, wired objects out. Here alone are the adapters named."""
