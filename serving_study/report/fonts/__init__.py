"""The font of the figures."""
