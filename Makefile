# make demo   set up, then build, release and grade a small example class in demo/
# make test   set up, then run every check of the project
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m autograder

.PHONY: install demo test lint build lock clean

install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed (TensorFlow has no package for others); try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

build: install
	$(RUN) build

demo: install
	@$(BIN)/python -m tests.submissions course demo
	$(RUN) build --course demo
	$(RUN) release --course demo
	@$(BIN)/python -m tests.submissions class demo
	$(RUN) grade --course demo
	$(RUN) feedback --course demo
	$(RUN) report --course demo
	@echo
	@echo "gradebook:  demo/gradebook.db"
	@echo "feedback:   demo/feedback/<student>/vit/vit.html"
	@echo "report:     demo/report/vit/report.html"
	@echo "next:       $(RUN) check demo/submitted/attention-unscaled/vit"

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group dev --extra postgresql --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf demo .mypy_cache .pytest_cache .ruff_cache
