"""Decides where to look, and learns from what happened."""
