"""The instrument: schedule, wire recorder, raw files."""
