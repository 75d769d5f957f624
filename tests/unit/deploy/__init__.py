"""Tests of what brings servers up."""
