"""Reflection: deriving memories from messages, each pointing to what it derives from."""
