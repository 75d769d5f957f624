"""Talks to people and to the clock; owns the wiring."""
