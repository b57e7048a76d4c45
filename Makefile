# Everything runs from .venv, which is made from the hash-checked requirements.lock.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check bench soak lock
run: .venv/ready
	@$(BIN)/toptank up

# One more at once than CI has cores: a third of the time tests wait for somebody.
test: .venv/ready tests/node_modules/.ready
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: .venv/ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q -p no:xdist tests/shared/test_import_rules.py

# Breaks the running product at random until it fails or MINUTES are over; SEED runs what failed again.
soak: MINUTES ?= 10
soak: .venv/ready
	@TOPTANK_TEST_SOAK_MINUTES=$(or $(TOPTANK_SOAK_MINUTES),$(MINUTES)) TOPTANK_TEST_SOAK_SEED=$(SEED) $(BIN)/python -m pytest -s -q -p no:xdist tests/faults/test_model.py

# Everything, or PART: videos, nodes, accounts, courses.
bench: .venv/ready
	@$(BIN)/python -m tests.bench $(PART)

# Only tests need this; where there is no npm, they are skipped.
tests/node_modules/.ready: tests/package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --prefix tests && touch $@; fi

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TopTank needs Python 3.11 or newer")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes --no-deps -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch .venv/ready

# Needs uv. One lock for development, one for each service's image, the same versions in all.
lock:
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --all-extras pyproject.toml -o requirements.lock
	for service in vps cloud; do uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --extra $$service -c requirements.lock pyproject.toml -o $${service}_service/requirements.lock; done
