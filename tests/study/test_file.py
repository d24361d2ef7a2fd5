"""A study file's mistakes are told one by one: file, key, value, what is allowed."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from serving_study.study.errors import StudyError
from serving_study.study.file import read

ROOT = Path(__file__).parents[2]
QUICKSTART = yaml.safe_load((ROOT / "config/studies/quickstart.yaml").read_text())

ENGINES = {"llamacpp": lambda deployment: ()}

REPLAY = {"rate": 1.0, "arrivals": "replay", "replay": "no.txt", "requests": 2, "max_tokens": 2}


def refused(tmp_path: Path, change, engines=ENGINES) -> str:
    study = deepcopy(QUICKSTART)
    change(study)
    file = tmp_path / "quickstart.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    with pytest.raises(StudyError) as error:
        read(file, engines, ROOT)
    assert str(file) in str(error.value)
    return str(error.value)


MISTAKES = {
    "unknown key": (lambda s: s.update(replicats=3), "replicats: unknown key; did you mean replicates?"),
    "unknown key deep": (
        lambda s: s["deployments"]["one-slot"].update(slot=1),
        "deployments.one-slot.slot: unknown key",
    ),
    "missing key": (lambda s: s.pop("seed"), "seed: is required"),
    "wrong type": (lambda s: s.update(replicates="three"), "replicates = 'three'"),
    "text for a number": (lambda s: s["workloads"]["c1"].update(requests=[12]), "workloads.c1.requests = [12]"),
    "no replicates": (lambda s: s.update(replicates=0), "replicates = 0: should be greater than or equal to 1"),
    "too many replicates": (lambda s: s.update(replicates=100), "less than or equal to 99"),
    "negative seed": (lambda s: s.update(seed=-1), "seed = -1"),
    "bad name": (lambda s: s.update(name="Quick Start"), "name = 'Quick Start'"),
    "other name": (lambda s: s.update(name="other"), "must be the file's own name, 'quickstart'"),
    "unknown engine": (lambda s: s["deployments"]["one-slot"].update(engine="tgi"), "must be one of: llamacpp"),
    "unknown model": (
        lambda s: s["deployments"]["one-slot"].update(models=["gpt"]),
        "deployments.one-slot.models: 'gpt'",
    ),
    "no model": (lambda s: s["deployments"]["one-slot"].update(models=[]), "deployments.one-slot.models = []"),
    "same port": (
        lambda s: s["deployments"]["four-slots"].update(port=18081),
        "port 18081 belongs to deployments.one-slot",
    ),
    "no port": (lambda s: s["deployments"]["one-slot"].pop("port"), "deployments.one-slot.port: is required"),
    "low port": (lambda s: s["deployments"]["one-slot"].update(port=80), "deployments.one-slot.port = 80"),
    "missing prompts": (lambda s: s.update(languages=["en", "fr"]), "config/prompts/fr.jsonl does not exist"),
    "two loads": (lambda s: s["workloads"]["c1"].update(rate=2.0), "either concurrency (closed loop) or rate"),
    "no load": (lambda s: s["workloads"]["c1"].pop("concurrency"), "either concurrency (closed loop) or rate"),
    "idle users": (lambda s: s["workloads"]["c4"].update(requests=2), "must be at least its concurrency, 4"),
    "no room": (lambda s: s["workloads"]["c4"].update(max_tokens=1024), "must leave room for a prompt"),
    "missing replay": (lambda s: s["workloads"].update(o=REPLAY), "no such file"),
    "bad hash": (lambda s: s["models"]["smollm2-135m"].update(sha256="12"), "models.smollm2-135m.sha256 = '12'"),
    "secret": (
        lambda s: s["deployments"]["one-slot"].update(environment={"API_KEY": "x"}),
        "keys come from the environment",
    ),
    "shares": (
        lambda s: s["deployments"]["one-slot"].update(memory_share={"smollm2-135m": 0.7, "gemma3-270m": 0.6}),
        "must not exceed 1",
    ),
    "external": (
        lambda s: s["deployments"]["one-slot"].update(runs_as="external"),
        "needs the URL of each of its models",
    ),
    "external with a port": (
        lambda s: s["deployments"]["one-slot"].update(runs_as="external"),
        "deployments.one-slot.port = 18080: the URLs of an external deployment say its ports; leave it out",
    ),
    "URL of a server of the study": (
        lambda s: s["deployments"]["one-slot"].update(urls={"smollm2-135m": "http://127.0.0.1:1"}),
        "deployments.one-slot.urls = {'smollm2-135m': 'http://127.0.0.1:1'}: only with runs_as: external",
    ),
    "use case": (
        lambda s: s.update(use_cases={"edge": {"weights": {"ttft_p50": 1}, "slo": "fast"}}),
        "use_cases.edge.slo = 'fast'",
    ),
    "claims": (lambda s: s.update(claims="none"), "config/claims/none.yaml does not exist"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_key(mistake: str, tmp_path: Path):
    change, message = MISTAKES[mistake]
    assert message in refused(tmp_path, change)


def test_all_mistakes_are_told_at_once(tmp_path: Path):
    def twice(study):
        study["seed"] = -1
        study["replicates"] = 0

    assert len(refused(tmp_path, twice).splitlines()) == 2


def test_what_an_engine_refuses_is_told_with_its_key_and_value(tmp_path: Path):
    engines = {"llamacpp": lambda deployment: [("threads", deployment.threads, "it has none. Next: leave it out")]}
    told = refused(tmp_path, lambda study: None, engines).splitlines()
    assert [line.partition(": ")[2] for line in told] == [
        f"deployments.{name}.threads = 2: it has none. Next: leave it out" for name in ("one-slot", "four-slots")
    ]


def test_what_is_not_yaml_is_refused(tmp_path: Path):
    file = tmp_path / "x.yaml"
    file.write_text("name: [")
    with pytest.raises(StudyError, match="not YAML"):
        read(file, ENGINES, ROOT)


def test_a_study_that_does_not_exist_names_those_that_do(tmp_path: Path):
    (tmp_path / "cpu.yaml").write_text("name: cpu")
    with pytest.raises(StudyError, match="there are: cpu"):
        read(tmp_path / "quick.yaml", {}, ROOT)
