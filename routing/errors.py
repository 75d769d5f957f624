"""Routing raises the tree of ``memory.errors``; it has no leaves of its own."""
