"""Tables, intervals, comparisons, facts."""
