"""Adapters of the memory on real servers."""
