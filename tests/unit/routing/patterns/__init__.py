"""Patterns at work in a room."""
