"""A reproducible study of LLM serving engines: deploy, measure, aggregate, report."""

__version__ = "0.1.0"
