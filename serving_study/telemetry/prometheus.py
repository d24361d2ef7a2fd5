"""Reading the counters that engines publish in the Prometheus text format."""

from __future__ import annotations

from collections.abc import Mapping

import requests
from prometheus_client.parser import text_string_to_metric_families


def read(url: str, names: Mapping[str, str], timeout_s: float = 5.0) -> dict[str, float]:
    """Our name to the sum of its series at ``url``; a series that is not there is left out.

    ``names`` maps our name to the series. Raises requests.RequestException when the page does not come.
    """
    answer = requests.get(url, timeout=timeout_s)
    answer.raise_for_status()
    return pick(answer.text, names)


def pick(text: str, names: Mapping[str, str]) -> dict[str, float]:
    """The same from a page's text."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
    return {ours: sums[series] for ours, series in names.items() if series in sums}
