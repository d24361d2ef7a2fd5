"""Well-known load generators and ours against one known-truth server, in alternating order."""
