"""What several rooms' tests share: the default study's engine and models, from the shared cache."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from serving_study import engines
from serving_study.engines.base import Engine, Prepared
from serving_study.serving.install import install
from serving_study.serving.models import prepare
from serving_study.study.file import read
from serving_study.study.types import Study

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # so does a shell start what runs in its background; tests interrupt themselves and their children
    signal.signal(signal.SIGINT, signal.default_int_handler)

QUICKSTART = Path(__file__).parents[1] / "config" / "studies" / "quickstart.yaml"


@pytest.fixture(scope="session")
def quickstart() -> Study:
    return read(QUICKSTART, engines.checks())


@pytest.fixture(scope="session")
def llamacpp() -> Engine:
    return engines.load("llamacpp")


@pytest.fixture(scope="session")
def llamacpp_home(llamacpp: Engine, quickstart: Study) -> Path:
    (version,) = {d.version for d in quickstart.deployments.values()}
    return install(llamacpp, version)


@pytest.fixture(scope="session")
def smollm2(quickstart: Study) -> Prepared:
    return prepare("smollm2-135m", quickstart.models["smollm2-135m"], ("gguf",))
