"""Adapters of the memory ports, one product and port each."""
