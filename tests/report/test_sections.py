"""Sections of the report: what a reader must be told stands there, in both languages, and follows the facts."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import meta
from jinja2.defaults import DEFAULT_NAMESPACE

from serving_study.report import document
from serving_study.report.answers import Answers
from serving_study.report.catalogs import catalog
from serving_study.report.deployed import Deployed
from serving_study.report.document import DEFAULT_STUDY, TEMPLATES, environment_of
from serving_study.report.evidence import Evidence
from serving_study.report.facts import Fact, Facts, read_facts
from serving_study.report.markers import Shown, unmarked
from serving_study.report.numbers import Numbers
from serving_study.report.sentences import Sentences
from serving_study.report.writer import Writer
from tests.analysis.made_up import write_facts
from tests.analysis.synthetic import Truth

ROOT = Path(__file__).parents[2]
Change = Callable[[Fact], bool]


@pytest.fixture(scope="module")
def facts(study: Path) -> list[Fact]:
    return list(read_facts(study / "facts.json"))


def section(
    facts: Iterable[Fact], name: str, language: str = "en", study: str = "made-up", figures: Path | None = None
) -> str:
    """One section as readers get it."""
    words = catalog(language)
    write = Writer(Facts(study, facts), words, Numbers(words.locale, words.say), Shown())
    return unmarked(environment_of(write, figures).get_template(f"sections/{name}.md").render())


def tables(text: str) -> list[list[list[str]]]:
    """Every table of a page: rows of cells, the heading first, the rule left out."""
    blocks = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    lines = [[line.strip("| ").split(" | ") for line in block.splitlines()] for block in blocks]
    return [[rows[0], *rows[2:]] for rows in lines]


def changed(facts: Iterable[Fact], which: Change, **update: Any) -> list[Fact]:
    """The facts, those that ``which`` picks with these fields."""
    return [fact.model_copy(update=update) if which(fact) else fact for fact in facts]


def cell_of(table: str, column: str, value: object, key: dict[str, str], **more: Any) -> Fact:
    """A fact that stands in one cell of a table."""
    name = "/".join([table, *key.values(), column])
    source = {"table": table, "row": key, "column": column}
    return Fact(id=name, kind="text", value=value, source=source, subject=key, **more)  # type: ignore[arg-type]


# What a table is of


def test_a_table_of_one_language_names_it(facts: list[Fact]) -> None:
    assert re.search(r"^Prompts in: English\.\n\n\| Model", section(facts, "load"), re.MULTILINE)
    assert "프롬프트 언어: 영어." in section(facts, "load", "ko")


def test_tables_of_one_load_name_the_lightest_and_the_figure_names_the_heaviest(
    facts: list[Fact], figures: Path
) -> None:
    text = section(facts, "languages", figures=figures)
    assert re.search(r"^Under load: c1\.\n\n\| Model", text, re.MULTILINE)
    assert "In the figure, under load: c4." in text
    assert "In the figure" not in section(facts, "languages")
    heavier = changed(facts, lambda f: f.id == "workload/c1/concurrency", value=9)
    assert "Under load: c4." in section(heavier, "languages")
    assert "부하: c4." in section(heavier, "languages", "ko")


# What a language costs


def test_bytes_derived_characters_length_and_early_stops_have_a_table(facts: list[Fact]) -> None:
    head, *rows = tables(section(facts, "languages"))[1]
    assert head == [
        "Model",
        "Deployment",
        "Language",
        "Byte throughput",
        "Characters each second, derived from tokens",
        "Output tokens a request, mean",
        "Answers that stopped early",
    ]
    assert len(rows) == 12
    for row in rows:
        assert re.match(r"[\d.,]+ byte/s", row[3])
        assert re.match(r"[\d.,]+ character/s", row[4])
        assert re.match(r"[\d.,]+ tokens", row[5])
        assert re.match(r"[\d.]+%", row[6])


# The instrument


def test_every_latency_has_the_instruments_own_error_beside_it(facts: list[Fact]) -> None:
    text = section(facts, "latency")
    latencies, lags = text.split("### The error of the instrument itself")
    points = {tuple(row[:3]) for row in tables(latencies)[0][1:]}
    of_lag = tables(lags)[0]
    assert {tuple(row[:3]) for row in of_lag[1:]} == points
    assert of_lag[0] == ["Model", "Language", "Load", *tables(latencies)[0][0][3:5]]
    assert all(re.match(r"0\.\d+ ms \[", value) for row in of_lag[1:] for value in row[3:])
    assert "Client lag, median" in lags


def test_the_mean_stands_in_for_a_median_that_may_not_be_shown(facts: list[Fact]) -> None:
    mean = [
        fact.model_copy(
            update={
                "id": fact.id.replace("_p50", "_mean"),
                "source": {**fact.source, "row": {**fact.source["row"], "metric": "client_lag_mean"}},
                "subject": {**fact.subject, "metric": "client_lag_mean"},
            }
        )
        for fact in facts
        if fact.id.startswith("estimate/client_lag_p50/")
    ]
    few = changed(facts, lambda f: f.id.startswith("estimate/client_lag_p50/"), value=None, reason="too-few-requests")
    text = section([*few, *mean], "latency")
    assert "Client lag, mean" in text
    assert "Client lag, median" not in text


def test_a_lag_that_the_kernel_does_not_tell_is_unknown(facts: list[Fact]) -> None:
    def under_tls(fact: Fact) -> bool:
        return fact.id.startswith("estimate/client_lag_p50/one-slot/")

    text = section(changed(facts, under_tls, value=None, low=None, high=None, reason="no-data"), "latency")
    head, *rows = tables(text.split("### The error")[1])[0]
    assert {row[head.index("one-slot")] for row in rows} == {"unknown"}
    assert "unknown" not in {row[head.index("four-slots")] for row in rows}
    without = [fact for fact in facts if not fact.about("metric").startswith("client_lag")]
    assert "Client lag: unknown." in section(without, "latency")
    assert "클라이언트 지연: 알 수 없음." in section(without, "latency", "ko")


# Recommendations


def recommended(winner: str | None, metric: str | None = "output_throughput") -> list[Fact]:
    """One use case with a leader, and the scores behind it."""
    case = {"use_case": "edge", "weights": "Q4"}
    values: dict[str, Any] = {
        "verdict": "recommended" if winner else "not-decided",
        "winner": winner,
        "leader": "one-slot",
    }
    if metric:
        values |= {"flip_metric": metric, "flip_weight": 0.416}
    found = [cell_of("recommendations", c, value, case) for c, value in values.items() if value is not None]
    if not winner:
        found = changed(found, lambda f: f.source["column"] == "verdict", reason="no-clear-winner")
    score = {"use_case": "edge", "metric": "output_throughput", "deployment": "one-slot"}
    behind = cell_of("scores", "weight", 2.0, score, unit="1")
    shown = cell_of("scores", "value", 50.0, score, unit="token/s")
    return [*found, *(fact.model_copy(update={"kind": "estimate"}) for fact in (behind, shown))]


def test_what_would_change_a_recommendation_says_where_it_draws_level_and_no_direction(facts: list[Fact]) -> None:
    given = [*facts, *recommended("one-slot")]
    assert "draws level at weight 0.416 on Output throughput (now 2)" in section(given, "decisions")
    korean = section(given, "decisions", "ko")
    assert "출력 처리량 가중치 0.416에서 동률(현재 2)" in korean
    (line,) = [line for line in korean.splitlines() if "동률" in line]
    assert "이상" not in line


def test_nothing_changes_what_is_not_recommended(facts: list[Fact]) -> None:
    text = section([*facts, *recommended(None)], "decisions")
    assert "draws level" not in text
    assert "no recommendation" in text
    fixed = section([*facts, *recommended("one-slot", metric=None)], "decisions")
    assert "no change of a single weight" in fixed


def test_numbers_of_a_use_case_are_not_said_to_decide_it(facts: list[Fact]) -> None:
    given = [*facts, *recommended("one-slot")]
    assert "The numbers behind it:" in section(given, "decisions")
    assert "판정과 관련된 수치:" in section(given, "decisions", "ko")


# Quick start


def test_the_commands_measure_this_study_and_no_other(facts: list[Fact]) -> None:
    text = section(facts, "quickstart")
    assert "make report" not in text
    assert "snakemake --cores all report --config study=made-up measure=true\n```" in text


def test_the_study_of_the_configuration_is_measured_by_make(facts: list[Fact]) -> None:
    assert yaml.safe_load((ROOT / "config/config.yaml").read_text())["study"] == DEFAULT_STUDY
    text = section(facts, "quickstart", study=DEFAULT_STUDY)
    assert "```bash\nmake report\n```" in text
    assert f"snakemake --cores all report --config study={DEFAULT_STUDY}\n```" in text


def test_a_quick_start_says_how_models_and_engines_come_where_they_are_expected(facts: list[Fact]) -> None:
    for language in ("en", "ko"):
        before_compose, _, rest = section(facts, "quickstart", language).partition("```yaml")
        assert re.search(r"```bash\npython -m serving_study lay-out made-up (four-slots|one-slot)\n```", before_compose)
        assert "./engines" in before_compose, language
        assert "./models" in before_compose.splitlines()[-2], language
        assert "curl" in rest
    assert "as the study asks it:" not in section(facts, "quickstart")


def test_a_quick_start_says_which_images_were_not_tried_and_which_are_built(facts: list[Fact]) -> None:
    not_tried, built = "has not tried these images", "docker builds it from their repository"
    text = section(facts, "quickstart")
    assert not_tried in text and built not in text
    of_images = [f for f in facts if f.source.get("column") == "compose"]
    built_here = changed(facts, lambda f: f in of_images, value="services:\n  m:\n    build: {}\n")
    assert built in section(built_here, "quickstart")
    image = [
        cell_of("deployments", "versions", "i@sha256:0", {"deployment": f.about("deployment")}).model_copy(
            update={"id": f"version/{f.about('deployment')}/image"}
        )
        for f in of_images
    ]
    text = section([*facts, *image], "quickstart")
    assert not_tried not in text
    assert "yours to install" in text


def test_models_of_an_engines_own_library_are_fetched_before_they_are_asked(facts: list[Fact]) -> None:
    line = "curl http://127.0.0.1:11434/api/pull"
    of_each = {str(f.about("deployment")) for f in facts if f.source.get("column") == "compose"}
    text = section([*facts, *(cell_of("deployments", "pull", line, {"deployment": d}) for d in of_each)], "quickstart")
    assert 0 < text.index(line) < text.index("One request to each model")
    assert "library" not in section(facts, "quickstart")


# Success, validity, engines


def test_a_table_of_troubled_points_says_that_it_is_one(facts: list[Fact]) -> None:
    said = "The table lists only points in which a request failed, an answer ended early or an answer was in another language."
    text = section(facts, "success")
    assert said in text
    assert len(tables(text)[0]) > 1

    def trouble(fact: Fact) -> bool:
        return fact.source.get("column") in ("early_stops", "other_language")

    calm = changed(facts, trouble, value=0)
    text = section(calm, "success")
    assert "In no point did a request fail" in text
    assert said not in text
    assert tables(text) == []
    first = next(f.id for f in calm if f.source.get("column") == "early_stops")
    assert len(tables(section(changed(calm, lambda f: f.id == first, value=3), "success"))[0][1:]) == 1


def test_steadiness_is_counted_in_the_section_on_validity(facts: list[Fact]) -> None:
    steady = [fact for fact in facts if fact.id.startswith("steady/")]
    mixed = changed(facts, lambda f: f.id == steady[0].id, value="not-steady", reason=None)
    mixed = changed(mixed, lambda f: f.id == steady[1].id, value="not-told", reason="few-lives")
    mixed = changed(mixed, lambda f: f.id in (steady[2].id, steady[3].id), value="not-told", reason="too-few-requests")
    mixed = changed(mixed, lambda f: f in steady[4:], value="steady", reason=None)
    said = re.search(
        r"Of (\d+) combinations of deployment, model, language and load, (\d+) were steady over the measuring window"
        r" and (\d+) drifted\. Not judged \(too few lives\): (\d+)\. Not judged \(too few requests\): (\d+)\.",
        section(mixed, "validity"),
    )
    assert said
    assert [int(n) for n in said.groups()] == [len(steady), len(steady) - 4, 1, 1, 2]
    assert "판단하지 못한 조합(요청 수 부족): 2개." in section(mixed, "validity", "ko")


def test_simultaneous_intervals_say_their_level(facts: list[Fact]) -> None:
    text = section(facts, "engines")
    head, *rows = tables(text)[0]
    assert head[-2:] == ["Interval", "Level"]
    assert all(re.fullmatch(r"9\d(\.\d+)?%", row[-1]) for row in rows)
    assert "The intervals are simultaneous" in text
    assert "holds 95%, for that value alone" in text


# What the deployments tell


def test_the_machine_has_its_cores_and_memory(facts: list[Fact]) -> None:
    text = section(facts, "overview")
    assert "Machine: A Processor 9, 2 cores, 7.45 GiB of memory, NVIDIA GeForce RTX 5090, Linux 6.12." in text
    assert "코어 2개, 메모리 7.45 GiB" in section(facts, "overview", "ko")


def test_slots_are_counted_and_are_no_requests(facts: list[Fact]) -> None:
    assert "| 4 slots |" in section(facts, "overview")
    assert "| 4개 |" in section(facts, "overview", "ko")


def setting(deployment: str, server: str, name: str, asked: str | None, ran: str | None, equal: bool) -> list[Fact]:
    key = {"deployment": deployment, "server": server, "name": name}
    about = {**key, "equal": equal}
    reason = "not-told" if ran is None else "not-asked" if asked is None else "as-asked"
    return [
        cell_of("ledger", column, value, key).model_copy(update={"subject": about, "reason": reason})
        for column, value in (("asked", asked), ("ran", ran))
    ]


def test_settings_that_repeat_the_models_names_are_left_out(facts: list[Fact]) -> None:
    names = [
        f for d in ("one-slot", "four-slots") for f in setting(d, "smollm2-135m", "model_name", None, "gemma3", False)
    ]
    model = next(f.about("model") for f in facts if f.about("model") not in ("", "*"))
    repeating = changed(names, lambda f: f.value == "gemma3", value=model)
    assert "model_name" not in section([*facts, *repeating], "settings")
    assert "model_name" in section([*facts, *names], "settings")


def test_a_setting_that_was_asked_for_and_not_told_is_shown_as_such(facts: list[Fact]) -> None:
    assert "| `kv_type` | asked: `auto`, not told | asked: `auto`, not told |" in section(facts, "settings")
    assert "`auto` 요청, 실제 값은 알 수 없음" in section(facts, "settings", "ko")


def test_what_is_not_equivalent_follows_the_ledger(facts: list[Fact]) -> None:
    told = [
        *setting("one-slot", "a", "batch", None, "1", False),
        *setting("four-slots", "a", "batch", None, "2", False),
    ]
    told += [
        *setting("one-slot", "a", "weights", None, "F16", True),
        *setting("one-slot", "b", "weights", None, "Q4", True),
    ]
    unequal = section([*facts, *told], "settings").split("### ")[1]
    assert "`batch`" in unequal
    assert "`weights`" not in unequal


def test_a_model_that_never_became_steady_says_so(facts: list[Fact]) -> None:
    assert "never steady" not in section(facts, "method")
    first = next(f for f in facts if f.source.get("table") == "warmup" and f.source["column"] == "requests")
    text = section(changed(facts, lambda f: f.id == first.id, reason="not-steady"), "method")
    assert text.count("2 requests, never steady") == 1


def test_figures_of_durations_are_not_said_to_show_ttft(facts: list[Fact], figures: Path) -> None:
    text = section(facts, "method", figures=figures)
    assert "![Duration of the first requests after the start](figures/warmup.en.svg)" in text


def test_memory_says_what_the_machine_had_before_and_after_and_that_nothing_was_left(facts: list[Fact]) -> None:
    text = section(facts, "memory")
    rows = {tuple(row[:3]): row[3:] for table in tables(text) for row in table[1:]}
    assert rows["all", "Used on the whole machine", "before the start"] == ["800 MiB", "800 MiB"]
    assert rows["all", "Used on the whole machine", "after the stop"] == ["810 MiB", "810 MiB"]
    stopped = {row for row in rows if row[1:] == ("Used, as the kernel saw it (PSS)", "after the stop")}
    assert stopped
    assert all(rows[row] == ["0 MiB", "0 MiB"] for row in stopped)
    assert "After the stop the kernel found no memory of any server." in text
    left = changed(facts, lambda f: f.about("stage") == "stopped" and f.about("part") == "pss", value=1e6)
    assert "found no memory of any server" not in section(left, "memory")


def kv_cache(deployment: str, used: float | None, share: float | None) -> list[Fact]:
    key = {"deployment": deployment, "model": "smollm2-135m", "workload": "c4"}
    both = cell_of("kv_cache", "used", used, key, unit="byte"), cell_of("kv_cache", "share", share, key, unit="1")
    return [fact.model_copy(update={"kind": kind}) for fact, kind in zip(both, ("estimate", "share"), strict=True)]


def test_kv_cache_in_use_is_shown_where_known_and_not_told_else(facts: list[Fact]) -> None:
    without = [fact for fact in facts if fact.source.get("table") != "kv_cache"]
    untold = [*without, *kv_cache("one-slot", None, None), *kv_cache("four-slots", None, None)]
    for given in (without, untold):
        assert "| all | KV cache, used | peak | not told | not told |" in section(given, "memory")
    model = next(f.about("model") for f in facts if f.about("model") not in ("", "*"))
    known = [*kv_cache("one-slot", 2**20, 0.25), *kv_cache("four-slots", None, None)]
    known = [f.model_copy(update={"source": {**f.source, "row": {**f.source["row"], "model": model}}}) for f in known]
    text = section([*without, *known], "memory")
    head, row = next(t for t in tables(text) if t[0][:2] == ["Model", "Load"])
    assert row[head.index("one-slot")] == "1 MiB, 25% of the capacity"
    assert row[head.index("four-slots")] == "not told"
    assert "| KV cache, used |" not in text
    share = [f for f in known if f.source["column"] == "share" or f.value is None]
    assert "| 25% of a capacity not told |" in section([*without, *share], "memory")


# Interference and claims


def test_a_load_on_all_models_that_is_a_multiple_of_another_shows_interference(tmp_path: Path) -> None:
    truth = Truth(
        metrics=("output_throughput", "ttft_p50", "tpot_p50", "e2e_p50"),
        workloads=("c4", "t8"),
        replicates=3,
        effects={},
    )
    assert len(truth.models) == 2
    alone = {"concurrency": 4, "requests": 12, "max_tokens": 24}
    both = {"concurrency": 8, "requests": 24, "max_tokens": 24, "together": True}
    path = write_facts(tmp_path, truth, workloads={"c4": alone, "t8": both})
    text = section(read_facts(path), "interference")
    assert "Ratios of a model under load together with the others" in text
    head, *rows = tables(text)[0]
    assert "Output throughput" in head
    assert rows
    assert any(re.match(r"[\d.]+×", value) for row in rows for value in row)


@pytest.mark.parametrize(
    ("printed", "english", "korean"),
    [
        ("378.6 % more", "378.6% more", "378.6% 많음"),
        ("12 % less", "12% less", "12% 적음"),
        ("3.8x", "3.8×", "3.8배"),
        ("412 token/s", "412 token/s", "412 토큰/s"),
        ("1 request", "1 request", "1건"),
        ("10.2 GB", "10.2 GB", "10.2 GB"),
    ],
)
def test_a_published_number_is_written_in_the_readers_language(printed: str, english: str, korean: str) -> None:
    assert tables(section(claim(printed), "claims"))[0][1][5] == english
    assert tables(section(claim(printed), "claims", "ko"))[0][1][5] == korean


def claim(printed: str, deployment: str = "", workload: str = "all", metric: str = "output_throughput") -> list[Fact]:
    key = {"claim": "one", "deployment": deployment, "workload": workload}
    values = {"metric": metric, "engine": "vLLM", "verdict": "differs", "printed": printed}
    return [cell_of("claims", column, value, key) for column, value in values.items()]


def test_a_claim_says_which_deployment_and_load_it_is_held_against(facts: list[Fact]) -> None:
    text = section([*facts, *claim("3.8x", "four-slots/one-slot", "c4")], "claims")
    head, row = tables(text)[0]
    assert head[2:4] == ["Deployment", "Load"]
    assert row[2:4] == ["four-slots / one-slot", "c4"]
    assert tables(section(claim("3.8x"), "claims"))[0][1][2:4] == ["none", "all"]


def test_a_metric_that_is_only_published_has_words() -> None:
    assert tables(section(claim("16 %", metric="device_memory_share"), "claims"))[0][1][:1] == [
        "Share of the accelerator's memory"
    ]


def test_numbers_that_contradict_each_other_are_written_in_the_readers_language() -> None:
    key = {"check": "stated-ratios", "about": "vllm / sglang, output_throughput: 378.6 % more; 3.8x"}
    given = [*claim("3.8x"), cell_of("contradictions", "claims", "a,b", key)]
    assert tables(section(given, "claims"))[1][1][1] == "vllm / sglang, Output throughput: 378.6% more; 3.8×"
    assert tables(section(given, "claims", "ko"))[1][1][1] == "vllm / sglang, 출력 처리량: 378.6% 많음; 3.8배"


# The whole


def test_a_report_answers_first_then_shows_evidence_and_ends_with_the_ledger(reports: Path) -> None:
    headings = re.findall(r"^## (.+)$", (reports / "report.en.md").read_text("utf-8"), re.MULTILINE)
    order = [
        "Executive summary",
        "Can these numbers be trusted?",
        "Throughput and latency under load",
        "Results by engine",
        "Latency",
        "Published claims beside the measurement",
        "How it was measured",
        "Limits",
        "Settings that really ran",
    ]
    assert [heading for heading in headings if heading in order] == order
    assert headings[0] == order[0]
    assert headings[-1] == order[-1]


def test_the_summary_has_contents_of_its_own(reports: Path) -> None:
    english, korean = (reports / "report.md").read_text("utf-8").split("\n---\n")
    for page in (english, korean):
        headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
        assert re.findall(r"^- \[(.+)\]\(#(.+)\)$", page, re.MULTILINE) == [(h, document.slug(h)) for h in headings]
        assert len(headings) == 4


def test_nothing_is_written_for_templates_that_no_template_uses() -> None:
    used = " ".join(path.read_text("utf-8") for path in (*TEMPLATES.rglob("*.md"), *TEMPLATES.parent.glob("*.py")))
    public = {
        f"{kind.__name__}.{name}"
        for kind in (Answers, Deployed, Evidence, Sentences, Writer)
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert sorted(name for name in public if not re.search(rf"\.{name.split('.')[1]}\(", used)) == []
    environment = environment_of(Writer(Facts("s", []), catalog("en"), Numbers(catalog("en").locale), Shown()), None)
    given = environment.globals.keys() - DEFAULT_NAMESPACE.keys()
    environment.globals.clear()
    asked = (
        meta.find_undeclared_variables(environment.parse(path.read_text("utf-8"))) for path in TEMPLATES.rglob("*.md")
    )
    assert set(given) - set().union(*asked) == set()
