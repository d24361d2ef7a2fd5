"""How a deployment lives: its servers start, are watched and stop."""
