# palate's commands. `make` alone lists them. Needs Python 3.11+, a C++17 compiler, make and a package index; everything
# else (cmake and ninja too) comes into .venv with pip. A second run does nothing and needs no network.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
INSTALL := $(BIN)/python $(PIP_INSTALL) -c constraints.txt
BUILD_ONLY := --no-build-isolation --no-deps

# A build tree, and the stamp that it is done, belong to a compiler and its flags: another CXX or CXXFLAGS compiles in
# another tree. Without them it is the tree that pip takes by itself.
ASKED := $(strip $(if $(filter-out default undefined,$(origin CXX)),$(CXX)) $(CXXFLAGS) $(LDFLAGS))
TREE := $(if $(ASKED),-$(shell echo '$(ASKED)' | cksum | cut -d' ' -f1))
COMPILING = $(BIN)/python tools/compiling.py

CPP := $(wildcard src/palate/kernels/*/*.cpp src/palate/kernels/*/*.hpp)
KERNEL_TESTS := $(wildcard tests/kernels/test_*.py)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup dev demo serve test long fuzz mutants lint docs docs-links werror sanitize compilers copy wheel instructions bench clean

help: ## list the commands
	@echo "palate: make <command>"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  %-12s %s\n' "$$name" "$$what"; done

# ---- environments: a stamp in .venv says what is done ----

$(VENV)/.stamp-venv:
	@echo "==> making $(VENV) with $(PYTHON)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "palate needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; say PYTHON=... to make")'
	@$(PYTHON) tools/compiling.py
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-build: requirements/build.txt | $(VENV)/.stamp-venv
	@echo "==> installing what the build needs"
	@$(INSTALL) -r requirements/build.txt
	@touch $@

# Editable: a changed Python file counts at once; a new, moved or C++ file by running this again, which needs no network.
FILES := $(VENV)/.stamp-files-$(shell find src -name '*.py' | LC_ALL=C sort | cksum | cut -d' ' -f1)
$(FILES): | $(VENV)/.stamp-venv
	@rm -f $(VENV)/.stamp-files-*
	@touch $@

PALATE := $(VENV)/.stamp-palate$(TREE)
$(PALATE): $(VENV)/.stamp-build pyproject.toml CMakeLists.txt $(CPP) $(FILES)
	@echo "==> building and installing palate (from nothing the kernels take a minute or two)"
	@rm -f $(VENV)/.stamp-palate*
	@$(COMPILING) -c constraints.txt --no-build-isolation --editable . \
		--config-settings='build-dir=build/{wheel_tag}$(TREE)'
	@touch $@

$(VENV)/.stamp-dev: requirements/dev.txt requirements/test.txt requirements/serve.txt requirements/docs.txt | $(VENV)/.stamp-venv
	@echo "==> installing what tests and linters need"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@

setup: $(PALATE) ## make .venv, build and install palate in it
	@echo "==> palate is ready in $(VENV)"

dev: setup $(VENV)/.stamp-dev ## setup, and what tests and linters need

$(VENV)/.stamp-mutants: requirements/mutants.txt | $(VENV)/.stamp-venv
	@echo "==> installing what makes the changes"
	@$(INSTALL) -r requirements/mutants.txt
	@touch $@

# ---- commands ----

demo: setup ## from nothing to recommendations on MovieLens 100K
	@$(BIN)/palate demo

$(VENV)/.stamp-serve: requirements/serve.txt | $(VENV)/.stamp-venv
	@echo "==> installing what the server needs"
	@$(INSTALL) -r requirements/serve.txt
	@touch $@

SERVE ?= --demo
serve: setup $(VENV)/.stamp-serve ## a model of MovieLens 100K over HTTP, with a page (SERVE="model.palate --port 9000" for yours)
	@$(BIN)/palate serve $(SERVE)

test: dev ## run the tests, but for the long ones
	@echo "==> running the tests (make long runs those that take many seconds: the course, chains against brute force)"
	@$(BIN)/python -m pytest -n auto --dist loadfile -m "not long"  # whole files on each core: their tests share fits

long: dev ## run the tests that take many seconds each, and properties on more examples
	@echo "==> running the long tests, and properties on more examples"
	@$(BIN)/python -m pytest -n auto --dist load -m "long or hypothesis" --hypothesis-profile=long

FUZZ_SECONDS ?= 60
fuzz: dev ## hostile files, conditions, model files and kernel calls (FUZZ_SECONDS=60 each; SEED=1 for others)
	@echo "==> hostile input, $(FUZZ_SECONDS) seconds for each target"
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ_SECONDS)

mutants: dev $(VENV)/.stamp-mutants ## change the code in small ways: do the tests notice? (MUTANTS=150 or all, SEED, MODULES, TESTS, JOBS)
	@echo "==> changing a copy of the code, one small change at a time"
	@PYTHONPATH=tests $(BIN)/python -m mutants

lint: dev ## ruff, mypy and clang-format: style and types
	@echo "==> ruff: style of the Python files"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> mypy: types of src"
	@$(BIN)/mypy
	@echo "==> clang-format: style of the C++ files"
	@$(BIN)/clang-format --dry-run -Werror $(CPP)

# A copy of palate compiled in another way lives in build/NAME/site: $(call compile,NAME,DEFINITION=ON).
define compile
	@rm -rf build/$(1)/site
	@$(WITH) $(COMPILING) $(BUILD_ONLY) --target build/$(1)/site . \
		--config-settings=build-dir=build/$(1)/tree$(TREE) $(addprefix --config-settings=cmake.define.,$(2))
endef
$(VENV)/.stamp-docs: requirements/docs.txt requirements/test.txt | $(VENV)/.stamp-venv
	@echo "==> installing what the site needs"
	@$(INSTALL) -r requirements/docs.txt
	@touch $@

docs: setup $(VENV)/.stamp-docs ## make the documentation site in build/docs/site; every warning is an error
	@echo "==> making the site"
	@$(BIN)/python docs/site/build.py

docs-links: setup $(VENV)/.stamp-docs ## does every link of the site to other sites lead somewhere? (needs the network)
	@echo "==> following the links to other sites"
	@$(BIN)/python docs/site/build.py --links

werror: $(VENV)/.stamp-build ## compile with every warning an error
	@echo "==> compiling with warnings as errors"
	$(call compile,werror,PALATE_WERROR=ON)

# Python with a copy: $(call with_copy,NAME). -S keeps it from reading the .pth file of the editable install, which would
# win over PYTHONPATH. For the sanitizers libstdc++ stands beside libasan so that C++ exceptions are seen by both.
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
with_copy = env PYTHONPATH="$(CURDIR)/build/$(1)/site:$(SITE)" $(SANITIZERS) $(BIN)/python -S
define test_kernels
	@$(call with_copy,$(1)) -c 'import palate.kernels as k; assert "/build/$(1)/" in k.__file__ and "/build/$(1)/" in k._kernels.__file__, k.__file__'
	@$(call with_copy,$(1)) -m pytest $(2) $(KERNEL_TESTS)
endef
RUNTIMES = $(foreach name,asan ubsan stdc++,$(shell $(CXX) -print-file-name=lib$(name).so))
sanitize: WITH = CXX="$(CXX)"
sanitize: SANITIZERS = LD_PRELOAD="$(RUNTIMES)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
	UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

sanitize: dev ## the kernel tests under AddressSanitizer and UBSan
	@echo "==> compiling with AddressSanitizer and UBSan"
	$(call compile,sanitize,PALATE_SANITIZE=ON)
	@echo "==> running the kernel tests in the sanitized copy"
	$(call test_kernels,sanitize,--capture=sys -p no:cacheprovider -k "not ctrl_c and not fork and not memory")

# MSVC is not to be had everywhere: PALATE_PLAIN builds what it would, and MinGW, where it is installed, compiles for
# Windows all that does not include Python.
CLANG ?= clang++
MINGW ?= x86_64-w64-mingw32-g++
FOR_WINDOWS := $(filter-out %_border.cpp %/module.cpp %/finishing.cpp %/compress_rows.cpp,$(filter %.cpp,$(CPP)))
compilers: dev ## the kernel tests with clang, and in plain C++ as for MSVC; what compiles for Windows
	@echo "==> compiling with $(CLANG), warnings as errors"
	@$(MAKE) --no-print-directory CXX=$(CLANG) copy NAME=clang DEFINED=PALATE_WERROR=ON
	@echo "==> compiling in plain C++, warnings as errors"
	@$(MAKE) --no-print-directory copy NAME=plain DEFINED="PALATE_WERROR=ON PALATE_PLAIN=ON"
	@echo "==> running the kernel tests in both copies"
	$(call test_kernels,clang,-p no:cacheprovider)
	$(call test_kernels,plain,-p no:cacheprovider)
	@echo "==> compiling for Windows"
	@if command -v $(MINGW) > /dev/null; then for file in $(FOR_WINDOWS); do \
		$(MINGW) -std=c++17 -fsyntax-only -DPALATE_PLAIN -DPALATE_LEVEL=plain -Isrc/palate $$file || exit 1; done; \
		else echo "$(MINGW) is not installed: left out"; fi

copy:
	$(call compile,$(NAME),$(DEFINED))

wheel: ## the source distribution and the wheels as they are published; each tested alone on every Python found
	@$(PYTHON) tools/wheels.py build/wheel

instructions: setup ## count the instructions of the hottest kernels; 3% more than is kept is a failure (needs valgrind)
	@echo "==> counting instructions"
	@$(BIN)/python benchmarks/instructions.py

bench: dev ## measure speed and accuracy beside other libraries, write benchmarks/RESULTS.md
	@echo "==> installing the peers into an environment of their own, build/peers"
	@test -x build/peers/bin/python || $(PYTHON) -m venv build/peers
	@build/peers/bin/python $(PIP_INSTALL) -r requirements/peers.txt
	@echo "==> measuring"
	@PALATE_PEERS="$(CURDIR)/build/peers/bin/python" $(BIN)/python benchmarks/run.py

clean: ## remove everything made here
	@echo "==> removing .venv, build and caches"
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find src tests -name __pycache__ -prune -exec rm -rf {} +
