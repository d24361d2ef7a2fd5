"""Templates, catalogs, plots, trace, verify."""
