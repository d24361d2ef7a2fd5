"""All facts of a study, in the order in which a report wants them."""

from __future__ import annotations

from serving_study.analysis.compared import compared
from serving_study.analysis.described import Frames, described
from serving_study.analysis.explained import explained
from serving_study.analysis.facts import Book
from serving_study.study.types import Study


def book(study: Study, frames: Frames) -> Book:
    """Facts from the study file and its tables."""
    facts = Book(study.name)
    for fact in described(study, frames):
        facts.add(fact)
    for fact in compared(frames["pairs"], frames["champions"]):
        facts.add(fact)
    for fact in explained(frames):
        facts.add(fact)
    return facts
