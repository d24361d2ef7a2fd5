"""The figures: one module each, with a function ``draw(data) -> Figure | None``; None where there is nothing to draw."""
