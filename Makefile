# SPDX-License-Identifier: MIT
#
# The front door. Underneath are CMake and Ninja; CMakePresets.json has the other configurations.

PREFIX ?= /usr/local
BUILD := build
SNAPSHOT := $(BUILD)/snapshot.img
SNAPSHOT_MIB := 64

.PHONY: all build setup setup-check run check check-host check-kernel fidelity test install bench format format-check clean help
.DEFAULT_GOAL := all

all: build ## Build the command and the libraries into build/ (the default)

build:
	@scripts/setup --probe build
	@[ -f $(BUILD)/build.ninja ] || cmake --preset release
	@cmake --build $(BUILD)

setup: ## Install what is missing to build and run (as root, with apt-get)
	@scripts/setup build

setup-check: ## Install what is missing to build, run and test (as root, with apt-get)
	@scripts/setup build check

run: setup ## Set up, build, and run examples/lazy_restore on the engine; ends with its fault report
	@$(MAKE) --no-print-directory build
	@$(BUILD)/examples/lazy_restore --make $(SNAPSHOT) $(SNAPSHOT_MIB)
	$(BUILD)/faultline run -- $(BUILD)/examples/lazy_restore $(SNAPSHOT)

check: setup-check ## Set up, then run every test: gcc, clang, sanitizers, and the rules of the source tree
	@scripts/check

check-host: build ## Explore every scenario deeper, and hold it against the kernel of this machine
	@scripts/check-host $(BUILD)

check-kernel: build ## Hold the engine against the kernel of this machine: a million random programs, under an hour
	@scripts/check-kernel $(BUILD)

fidelity: build ## Write the tables of docs/fidelity.md anew
	@scripts/fidelity $(BUILD)

test: build ## Run the tests of the release build alone
	@ctest --test-dir $(BUILD) --output-on-failure -j $$(nproc) --no-tests=error

bench: build ## Time the engine and the kernel on the same work
	@bench/run $(BUILD)
	@bench/explore $(BUILD)
	@bench/diff $(BUILD)

install: build ## Install into PREFIX (default /usr/local), below DESTDIR if set
	@cmake --install $(BUILD) --prefix $(PREFIX)

format: ## Format the sources in place
	@scripts/format

format-check: ## Say which sources are not formatted
	@scripts/format --check

clean: ## Remove every build directory
	rm -rf build build-debug build-clang build-asan build-tsan

help: ## List the targets
	@echo "Faultline. make [target]:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  %-14s%s\n' "$$name" "$$what"; done
