"""One real study, measured once; each test works on a copy of it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.workflow.checkout import Checkout


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout in which nothing has run."""
    first, second = free_ports(2)
    return Checkout.of_source(tmp_path_factory.mktemp("source"), (first, second))


@pytest.fixture(scope="session")
def measured(source: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The same after ``snakemake --cores 1 report``."""
    checkout = source.copy(tmp_path_factory.mktemp("measured"))
    done = checkout.snakemake("report")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return checkout


@pytest.fixture
def study(measured: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the measured checkout that a test may change."""
    return measured.copy(tmp_path / "study")


@pytest.fixture
def fresh(source: Checkout, tmp_path: Path) -> Checkout:
    """A copy in which nothing has run."""
    return source.copy(tmp_path / "fresh")
