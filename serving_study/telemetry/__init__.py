"""What the machine did meanwhile: NVML, process memory, engine counters, clocks."""
