"""Learning over paths."""
