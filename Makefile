PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

.PHONY: help run test check-format test-long lab student slides clean

help:
	@echo "make run        run every notebook in order; executed copies and HTML pages go to build/notebooks"
	@echo "make test       look at the code's format, run the tests, then every notebook against its stored outputs"
	@echo "make test-long  the tests that take minutes: the core broken on purpose, the log remade, the student edition run, public logs if at hand"
	@echo "make lab        open the notebooks in JupyterLab"
	@echo "make student    the notebooks without solutions, to hand out: build/student"
	@echo "make slides     a deck of slides of each notebook: build/slides. They show without a network after"
	@echo "                npm install --prefix build/slides reveal.js@5.2.1 mathjax@3.2.2   and another make slides"
	@echo "make clean      remove .venv, build (trained models too) and caches"
	@echo "The first of these that needs .venv builds it; PYTHON=/path/to/python3.11 picks the Python."

run: $(READY)
	$(BIN)/python -m helpers.tools.course

test: $(READY) check-format
	$(BIN)/python -m pytest tests -m "not long" -n 2 --dist loadscope --cov=helpers --cov-branch --cov-report=term
	$(if $(NOTEBOOKS),$(BIN)/python -m pytest --nbval --nbval-current-env -n 2 --dist loadscope notebooks)

check-format: $(READY)
	$(BIN)/ruff format --check helpers tests conftest.py
	$(BIN)/ruff check helpers tests conftest.py

# One thread each, since two tests at a time have two cores. The last one starts its own processes.
test-long: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m long -n 2 --dist loadscope --ignore tests/test_mutations.py
	$(BIN)/python -m pytest tests/test_mutations.py -m long

lab: $(READY)
	$(BIN)/jupyter lab notebooks

student slides: $(READY)
	$(BIN)/python -m helpers.tools.course $@

# The stamp is written last: a .venv whose installation broke off has none, and is built anew.
$(READY): requirements.txt pyproject.toml
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is needed, and '$(PYTHON)' is not. Try: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
