"""Raw bytes to one row a request to one row a point; one short function a metric."""
