"""Measurements of the instrument itself."""
