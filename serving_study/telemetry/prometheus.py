"""Reading the counters that engines publish in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


def pick(text: str, names: Mapping[str, str]) -> dict[str, float]:
    """Our name to the sum of its series on a page; a series that is not there is left out.

    ``names`` maps our name to the series. Raises ValueError where the page is of another format.
    """
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return {ours: sums[series] for ours, series in names.items() if series in sums}
