"""Cells are drawn from the seed, block by block, and priorities enforce that order."""

from pathlib import Path

import yaml

from serving_study.study.cells import cells, points, priority
from serving_study.study.types import Study

STUDY = Study.model_validate(yaml.safe_load(Path("config/studies/quickstart.yaml").read_text()))


def test_every_cell_is_measured_once():
    drawn = cells(STUDY)
    assert len(set(drawn)) == len(drawn) == 2 * 3 * 3


def test_a_block_ends_before_the_next_begins():
    assert [c.replicate for c in cells(STUDY)] == sorted(c.replicate for c in cells(STUDY))


def test_priorities_fall_in_the_order_of_measuring():
    order = [priority(STUDY, c) for c in cells(STUDY)]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)


def test_another_seed_draws_another_order():
    assert cells(STUDY.model_copy(update={"seed": 1})) != cells(STUDY)


def test_one_replicate_more_leaves_the_earlier_blocks_alone():
    more = STUDY.model_copy(update={"replicates": 4})
    assert cells(more)[: len(cells(STUDY))] == cells(STUDY)


def test_models_together_are_one_point():
    together = STUDY.workloads["c4"].model_copy(update={"together": True})
    drawn = points({"mix": together, "c1": STUDY.workloads["c1"]}, ("a", "b"), "seed")
    assert sorted(drawn) == [("c1", ("a",)), ("c1", ("b",)), ("mix", ("a", "b"))]


def test_a_model_that_is_alone_has_nothing_to_be_loaded_together_with():
    together = STUDY.workloads["c4"].model_copy(update={"together": True})
    assert points({"mix": together, "c1": STUDY.workloads["c1"]}, ("a",), "seed") == [("c1", ("a",))]


def test_the_example_is_a_run_of_the_default_study():
    example = Study.model_validate(yaml.safe_load(Path("config/studies/example.yaml").read_text()))
    assert example.model_copy(update={"name": "quickstart", "recorded": None}) == STUDY
