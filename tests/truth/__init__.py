"""A server that knows when it sent each token: what the instrument is measured against."""
