# Everything that is done to this repository. `make help` lists it.
SHELL := /bin/bash -o pipefail
.DEFAULT_GOAL := help

GO       ?= go
TARTAN   := bin/tartan
LINT     := bin/lint
LDFLAGS  := -s -w
PLATFORMS := linux/amd64 linux/arm64 darwin/amd64 darwin/arm64
DATA_DIR ?= .tartan
RUN_FLAGS ?=
TEST_FLAGS ?=
FUZZ_TIME ?= 10m

# One way of compiling for building, vetting and cross-compiling, so that they share the build cache; the race detector
# alone needs cgo.
export CGO_ENABLED := 0

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/tartan
	@mkdir -p bin
	@$(GO) build -ldflags '$(LDFLAGS)' -o $(TARTAN) ./starter

.PHONY: run
run: build ## from nothing to recognised patterns of this machine's own logs; Ctrl-C stops it
	@$(TARTAN) tour --data-dir $(DATA_DIR) $(RUN_FLAGS)

.PHONY: up
up: build ## start the local stack and stay
	@$(TARTAN) up --data-dir $(DATA_DIR)

.PHONY: down
down: build ## stop the local stack
	@$(TARTAN) down --data-dir $(DATA_DIR)

.PHONY: test
test: deps build lint verify cross prepare test-tools test-agents conformance test-go ## everything that CI runs

.PHONY: test-short
test-short: ## the tests that need no server
	@$(GO) test -short ./...

.PHONY: test-go
test-go: ## the Go tests with the race detector, against real servers
	$(GO) test -run 'AllocateNothing|OnTheArchive|StrangeClass|TenThousandPoints' ./internal/pattern/... # the race detector allocates by itself, and slows arithmetic tenfold
	@if command -v cc >/dev/null || command -v gcc >/dev/null; then race=-race; else race=; echo "test: no C compiler, so the race detector is off"; fi; \
	set -x; CGO_ENABLED=$${race:+1} $(GO) test $$race -timeout 20m $(TEST_FLAGS) ./...

.PHONY: writers
writers: ## sixteen writers, 5,000 proposals, and kills of everything
	$(GO) test -v -timeout 3h -run TestWritersThroughKills ./internal/e2e -proposals 5000

.PHONY: observations
observations: ## 100,000 observations inserted, and kills of everything
	$(GO) test -v -timeout 3h -run TestObservationsThroughKills ./internal/e2e -observations 100000

.PHONY: test-tools
test-tools: ## the tests of the linter; those of internal/local build and run devserver/
	cd tools && $(GO) vet ./... && $(GO) test ./...

$(LINT): $(wildcard tools/*.go tools/house/*.go tools/exceptions.txt tools/go.mod tools/go.sum)
	@mkdir -p bin
	@cd tools && $(GO) build -o ../$(LINT) .

.PHONY: lint
lint: $(LINT) ## formatting, vet, staticcheck, errorlint, workflowcheck and the rules of this house
	@$(LINT) -fmt .
	@$(GO) vet ./...
	@$(GO) vet -vettool=$(LINT) ./...
	@echo "lint: clean"

.PHONY: fmt
fmt: $(LINT) ## format every Go file
	@$(LINT) -fmt-write .

.PHONY: generate
generate: ## write the generated files again
	@$(GO) test . -run TestEnvironmentExample -update >/dev/null
	@$(GO) test ./starter -run TestCommandDocs -update >/dev/null
	@$(GO) generate ./...
	@echo "generate: done"

.PHONY: verify
verify: ## fail when a generated file is not what its source says
	@state() { git status --porcelain; git diff; }; before=$$(state); $(MAKE) -s generate; \
	if [ "$$before" != "$$(state)" ]; then echo "generated files are not current; run: make generate"; git diff --stat; exit 1; fi
	@$(GO) mod verify >/dev/null
	@echo "verify: generated files are current"

.PHONY: cross
cross: ## compile for every platform
	@for p in $(PLATFORMS); do echo "cross: $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./... || exit 1; done

.PHONY: prepare
prepare: build ## download or build the Postgres and Temporal binaries that the stack needs
	@$(TARTAN) prepare --data-dir $(DATA_DIR)

# uv of agents/: what deps installed, or the user's own.
UV = $$(command -v .cache/uv/bin/uv || command -v uv)
UV_VERSION := 0.13.9

.PHONY: test-agents
test-agents: ## format, types and tests of the agents in Python
	@uv=$(UV); if [ -z "$$uv" ]; then echo "test-agents: skipped: uv is missing"; [ -z "$$CI" ]; exit; fi; \
	uv=$$(realpath "$$uv"); cd agents && "$$uv" sync -q --locked --all-packages && "$$uv" run -q ruff check kit spectral minilm && \
	"$$uv" run -q ruff format --check kit spectral minilm && "$$uv" run -q pyright && "$$uv" run -q pytest -q

.PHONY: conformance
conformance: ## the official MCP conformance suite against the server
	@if [ "$$(uname -sm)" != "Linux x86_64" ]; then echo "conformance: skipped: its pinned Node.js is for Linux x86_64"; \
	elif ! command -v npm >/dev/null; then echo "conformance: skipped: npm is missing (apt-get install npm)"; [ -z "$$CI" ]; \
	else deploy/conformance/run.sh; fi

# FUZZ_CLEAN tells by its log whether a failed run found nothing: up to 1.26 Go may end a run whose time is over with "context deadline
# exceeded" and call that a failure (golang/go#75804). A finding comes with an input, a panic or an entry of the seed corpus.
FUZZ_CLEAN = { grep -q '^ *context deadline exceeded$$' "$$log" && ! grep -qE 'Failing input written|panic:|fatal error:|seed corpus' "$$log" && \
	echo "fuzz: $$name found nothing; the failure is that of Go when the time is over"; }

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZ_TIME each (10m), one after the other
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r dir; do \
	  for name in $$(grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/func //'); do \
	    echo "fuzz: $$name in $$dir for $(FUZZ_TIME)"; \
	    $(GO) test "$$dir" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ_TIME) </dev/null 2>&1 | tee "$$log" || $(FUZZ_CLEAN) || exit 1; \
	  done; done

.PHONY: bench
bench: build ## the figures of docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./internal/pattern/... ./internal/knowledge/... ./mcp/...
	cd bench && $(GO) test -v ./...

KILL_RUNS ?= 200

.PHONY: kill
kill: ## KILL_RUNS migrations (200), each with a SIGKILL of a part of the stack at a random moment; then the peers
	TARTAN_KILL_RUNS=$(KILL_RUNS) $(GO) test ./workers -run TestMigrationsSurviveKills -v -timeout 3h
	cd bench && TARTAN_KILL_RUNS=$(KILL_RUNS) $(GO) test ./kill -v -timeout 3h

# install names a Debian package and the test that says it is there already.
define install
	@if ! $(2) >/dev/null 2>&1; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "deps: installing $(1)"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null || echo "deps: could not install $(1)"; \
	  else echo "deps: $(1) is missing: $(3)"; fi; fi
endef

.PHONY: deps
deps: ## as root: install the Debian packages that are missing; otherwise say which
	$(call install,npm,command -v npm,the MCP conformance suite will not run)
	$(call install,gcc libc6-dev,command -v cc,the race detector will be off)
	$(call install,git,command -v git,generated files cannot be compared)
	@if ! command -v uv .cache/uv/bin/uv >/dev/null; then \
	  if ! python3 -c 'import ensurepip' 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then echo "deps: installing python3-venv"; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null; fi; \
	  echo "deps: installing uv $(UV_VERSION) into .cache/uv"; \
	  python3 -m venv .cache/uv && .cache/uv/bin/pip install -q --disable-pip-version-check uv==$(UV_VERSION) || \
	    { rm -rf .cache/uv; echo "deps: uv is missing: the agents in Python will not be tested (install uv, or python3-venv)"; }; fi
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || echo "deps: no Postgres is installed: its binaries will be downloaded"
