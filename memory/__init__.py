"""Stores, finds, forgets. Knows no chat platform and no router."""
