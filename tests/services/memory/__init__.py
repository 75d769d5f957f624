"""The memory on real servers."""
