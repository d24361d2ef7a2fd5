"""One file a command: what the rules of the workflow (and people) call."""
