# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One set of flags for everything, so that the product, the tests and the image bundle
# share compiled packages.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false

TOPOLOGY ?= examples/two-clusters/topology.yaml
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VERSION_PACKAGE := github.com/meshfed/meshfed/internal/version
LDFLAGS := -s -w \
	-X $(VERSION_PACKAGE).commit=$(shell git rev-parse --short=12 HEAD 2>/dev/null) \
	-X $(VERSION_PACKAGE).date=$(shell git log -1 --format=%cI 2>/dev/null)

.PHONY: help
help: ## Show the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: host
host: ## Install what the demo and the end-to-end tests need from Debian (container engine, mmdebstrap)
	@hack/host.sh

.PHONY: build
build: ## Build bin/meshfed
	@mkdir -p bin
	@[ -x bin/meshfed ] || echo "building bin/meshfed: a few minutes the first time, seconds later" >&2
	@go build -ldflags '$(LDFLAGS)' -o bin/meshfed ./cmd/meshfed 2> >(grep -v '^go: downloading' >&2)

.PHONY: bundle
bundle: host build ## Build the image bundle from source, unless a current one is there
	@bin/meshfed bundle build

.PHONY: demo
demo: bundle ## From a topology file to a proven two-cluster mesh
	@bin/meshfed up -f $(TOPOLOGY) --verify full
	@echo "  make demo-down    remove it all, the root key too"

.PHONY: demo-down
demo-down: build ## Remove what `make demo` made
	@bin/meshfed down -f $(TOPOLOGY) --delete-certs --yes

.PHONY: unit
unit: ## Format, vet and unit tests: the quick part
	@test -z "$$(gofmt -l cmd topology certs install federation verify internal test)" || { echo "run gofmt on:"; gofmt -l cmd topology certs install federation verify internal test; exit 1; }
	@go vet ./...
	@go vet -tags e2e ./test/...
	@go test ./...

.PHONY: race
race: ## Unit tests of the concurrent packages under the race detector (needs a C compiler)
	@CGO_ENABLED=1 go test -race ./internal/graph/... ./internal/ui/... ./internal/poll/... ./internal/run/... ./internal/probe/... ./verify/...

.PHONY: test
test: unit bundle ## Everything that fits two cores: unit, integration and end-to-end tests
	@MESHFED_BIN=$(CURDIR)/bin/meshfed go test -tags e2e -count 1 -timeout 60m -v ./test/e2e

.PHONY: e2e-all
e2e-all: test ## Also what takes too long in CI: SIGKILL at many moments
	@MESHFED_BIN=$(CURDIR)/bin/meshfed MESHFED_E2E_ALL=1 go test -tags e2e -count 1 -timeout 120m -v -run TestAll ./test/e2e

.PHONY: lint
lint: ## golangci-lint, pinned
	@go run $(GOLANGCI_LINT) run ./...

.PHONY: vuln
vuln: ## govulncheck, pinned (asks the Go vulnerability database)
	@go run $(GOVULNCHECK) ./...

.PHONY: golden
golden: ## Rewrite golden files
	@go test ./... -update

.PHONY: check-clean
check-clean: ## Fail when generated files or go.mod are not current
	@go mod tidy -diff
	@go mod verify
	@git diff --exit-code

.PHONY: clean
clean: ## Remove build output of this checkout (the image bundle stays in the cache)
	@rm -rf bin dist
