# Two commands: `make report` measures and reports, `make test` tests. Each makes its own .venv first.
.DEFAULT_GOAL := report
PYTHON ?= python3
RUN := .venv/bin/python

.PHONY: report verify publish test test-engines lint docs bench-peers lock clean

report: .venv/run
	$(RUN) -m snakemake --cores 1 report

verify: .venv/run
	$(RUN) -m snakemake --cores 1 verify

publish: .venv/run
	$(RUN) -m snakemake --cores 1 publish

test: .venv/dev lint
	$(RUN) -m coverage run -m pytest -m "not engine" $(PYTEST)
	$(RUN) -m coverage combine -q
	$(RUN) -m coverage report --fail-under 85

test-engines: .venv/dev
	$(RUN) -m pytest -m engine $(PYTEST)

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/snakefmt --check Snakefile workflow
	.venv/bin/snakemake --lint
	.venv/bin/lint-imports

docs: .venv/dev
	.venv/bin/pdoc serving_study '!serving_study.serving.gguf_to_folder' -o docs/api

bench-peers: .venv/dev
	$(RUN) -m benchmarks.peers

lock:
	$(RUN) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q pyproject.toml -o requirements.lock
	$(RUN) -m uv pip compile --universal --python-version 3.11 --generate-hashes --no-header -q pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(RUN) -m serving_study environment environment.yml

clean:
	rm -rf .venv results logs .snakemake

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv

.venv/run: requirements.lock | .venv/bin/python
	$(RUN) -m pip install --disable-pip-version-check -q --require-hashes -r requirements.lock
	touch $@

.venv/dev: requirements-dev.lock | .venv/bin/python
	$(RUN) -m pip install --disable-pip-version-check -q --require-hashes -r requirements-dev.lock
	touch $@ .venv/run
