"""The typed study, its cells and seeds: knows nothing of HTTP, servers or Snakemake."""
