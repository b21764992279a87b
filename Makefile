# Thin: each target names the one command behind it. `make run` and `make test` are all a newcomer needs.
.DEFAULT_GOAL := build
JOBS := $(shell nproc)
PRESET ?= release
B := build/$(PRESET)
SEEDS ?= 200
FUZZ_SECONDS ?= 10
KILLS ?= 10
LOSSY_KEEP ?= 0
LOAD_SECONDS ?= 5
LOAD_RATE ?= 10
CRASH_SEED ?= $(shell date +%s)
export CTEST_OUTPUT_ON_FAILURE = 1

.PHONY: help deps deps-interop configure build run test unit integration sim crash streams check lint fmt \
	asan tsan fuzz cov protocol interop docs bench clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

deps: ## Install and build what is missing (Debian packages; librdkafka where it is too old)
	@tools/deps.sh

deps-interop: deps ## Install what the interop suite needs
	@tests/interop/install.sh

configure: deps
	@cmake --preset $(PRESET) >/dev/null

build: configure ## Build build/release/headrace
	@ninja -C $(B) -j $(JOBS)

run: build ## Start the log and replay real events through it (ONCE=1 ends by itself)
	@examples/replay/run.sh $(B)/headrace

test: build ## Unit and integration tests, and the simulator
	@ctest --test-dir $(B) -j $(JOBS)

unit: build ## Unit tests alone
	@ctest --test-dir $(B) -L unit -j $(JOBS)

integration: build ## The built binary, driven from outside
	@ctest --test-dir $(B) -L integration -j $(JOBS)

sim: build ## Faults at every sync and write, transactions, whole servers, for SEEDS seeds
	@SIM_SEED=1000 SIM_SEEDS=$(SEEDS) $(B)/tests/crash_test
	@SIM_SEED=1000 SIM_SEEDS=$(SEEDS) $(B)/tests/transactions_sim
	@python3 tests/sim/run.py --binary $(B)/tests/server_sim --first 1000 --seeds $(SEEDS)

crash: build deps-interop ## KILLS kills under real clients, and lossy; a load; 10,000 partitions
	@python3 tests/crash/run.py --binary $(B)/headrace --kills $(KILLS) --seed $(CRASH_SEED)
	@ninja -C $(B) -j $(JOBS) headrace_lossy
	@python3 tests/crash/run.py --binary $(B)/tests/headrace_lossy --kills $(KILLS) \
		--seed $(CRASH_SEED) --lossy --keep-percent $(LOSSY_KEEP) --out build/crash-lossy
	@python3 tests/crash/run.py --binary $(B)/headrace --kills 0 --seconds $(LOAD_SECONDS) \
		--rate $(LOAD_RATE) --seed $(CRASH_SEED) --out build/load
	@python3 tests/crash/many.py --binary $(B)/headrace

streams: build deps-interop ## Kafka Streams, exactly once, KILLS kills of each side; and lossy
	@python3 tests/streams/run.py --binary $(B)/headrace --kills $(KILLS) --seed $(CRASH_SEED)
	@ninja -C $(B) -j $(JOBS) headrace_lossy
	@python3 tests/streams/run.py --binary $(B)/tests/headrace_lossy --kills $(KILLS) \
		--seed $(CRASH_SEED) --lossy --keep-percent $(LOSSY_KEEP) --out build/streams-lossy

check: build ## Under a minute: format, tidy, unit tests, clang-tidy on changed files
	@tools/check.sh $(B)

lint: build ## clang-tidy over the whole tree
	@tools/lint.sh $(B) all

fmt: ## Format all sources
	@git ls-files '*.c' '*.h' | xargs clang-format -i

asan: ## All tests under the address and undefined behaviour sanitizers
	@$(MAKE) --no-print-directory PRESET=asan test

tsan: ## All tests with threads under the thread sanitizer, but the client commands
	@$(MAKE) --no-print-directory PRESET=tsan build
	@TSAN_OPTIONS=halt_on_error=1 ctest --test-dir build/tsan -LE sim -j $(JOBS)

fuzz: deps ## Each fuzz target for FUZZ_SECONDS
	@cmake --preset fuzz -DHEADRACE_FUZZ_SECONDS=$(FUZZ_SECONDS) >/dev/null
	@ninja -C build/fuzz -j $(JOBS) && ctest --test-dir build/fuzz -L fuzz

cov: ## Line coverage of the tests; fails below 90 % in wire, record, storage, broker, coord
	@[ ! -d build/cov ] || find build/cov -name '*.gcda' -delete
	@$(MAKE) --no-print-directory PRESET=cov test
	@tools/coverage.py build/cov

protocol: build deps-interop ## The codec against Apache Kafka's own definitions and classes
	@tests/protocol/run.sh $(B)

interop: build deps-interop ## Real clients in six languages, writes docs/clients.md; Kafka beside us
	@python3 tests/interop/run.py --server headrace --binary $(B)/headrace
	@python3 tests/interop/differential.py --binary $(B)/headrace
	@python3 tests/flow/deliver.py --binary $(B)/headrace --engine kafka
	@python3 tests/flow/dead_letters.py --binary $(B)/headrace --engine kafka
	@python3 tests/flow/commands.py --binary $(B)/headrace --engine kafka
	@python3 tests/flow/sdk.py --binary $(B)/headrace

docs: build ## Write docs/reference from the binary
	@tools/configs.py $(B)/headrace
	@tools/flow_page.py $(B)/headrace

bench: build ## Measure what the README promises
	@python3 tests/bench/promises.py --binary $(B)/headrace

clean: ## Remove all that was built
	@rm -rf build
