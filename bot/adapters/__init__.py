"""Adapters of the chat port."""
