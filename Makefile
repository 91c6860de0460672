# Two commands: `make quickstart` and `make test`. Both set up .venv first; a second run finds it ready.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := $(CURDIR)/.venv
UV := $(CURDIR)/.uv/bin/uv
CORES ?= all
# One thread per job: Snakemake runs as many jobs as there are cores, and sums are rounded alike everywhere.
export PATH := $(VENV)/bin:$(PATH)
export OMP_NUM_THREADS := 1

.PHONY: setup quickstart test test-slow test-slurm test-long check clean

# Compiled once: every job starts Python and torch anew, which takes twice as long where nothing may be cached.
setup: .venv/.ready

.venv/.ready: pyproject.toml uv.lock requirements-uv.txt
	@test -n "$(PYTHON)" || { echo "error: no Python found: install Python 3.11 and its venv module" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else "error: %s is Python %d.%d; name a Python 3.11 or 3.12: make PYTHON=/path/to/python3.11" % ((sys.executable,) + v))'
	@echo "Setting up .venv from the lock (torch is large; a minute or two) ..."
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --quiet --frozen --all-extras --compile-bytecode --python $(PYTHON)
	@touch $@

quickstart: setup
	snakemake --cores $(CORES) --quiet host rules
	@cat results/quick/table2.md results/quick/table3.md results/quick/latent_usage.md
	@echo "Tables:  results/quick/*.md, .csv, .tex; every number: results/quick/rows.csv, the runs behind it: results/quick/runs.csv"
	@echo "Figures: results/quick/figures/*.png, .pdf"
	@echo "All of it on one page, in a browser: results/quick/report.html"

# Two processes, which is what two cores and a few GB of memory carry; a file's tests stay together.
test: setup
	python -m pytest -n 2 --dist loadfile

# Slow: real data, kills, DVC, round trips; the whole graph twice, byte for byte.
test-slow: setup
	python -m pytest -m slow

# The graph on a real Slurm, which the test installs (Debian, root), starts and stops.
test-slurm: setup
	python -m pytest -m slurm -rs

# The quick preset made again by `make quickstart` without a network, by `dvc repro`, and on a real Slurm: three quarters of
# an hour on two cores, so not in CI.
test-long: setup
	python -m pytest -m long -rs

check: setup
	ruff check .
	ruff format --check .
	mypy
	snakemake --lint
	.uv/bin/uv tool run --quiet snakefmt@2.1.0 --check Snakefile workflow/rules

clean:
	rm -rf runs state logs .snakemake
