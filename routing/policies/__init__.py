"""Policies: a question's features in, a route with its propensity out."""
