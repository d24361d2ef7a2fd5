"""Programs that run inside an engine's own environment and know nothing of this package."""
