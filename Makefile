# SPDX-FileCopyrightText: The meshfed authors
# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One set of flags for everything, so that the product, the tests and the image bundle
# share compiled packages.
export CGO_ENABLED := 0
export GOFLAGS := -trimpath -buildvcs=false

GO_FOLDERS := cmd topology certs install federation verify internal test hack
PREFIX ?= /usr/local
DESTDIR ?=
DIST := go run ./hack/dist
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
host: ## Install what making clusters and building images needs from Debian
	@hack/host.sh build

.PHONY: build
build: ## Build bin/meshfed
	@mkdir -p bin
	@[ -x bin/meshfed ] || echo "building bin/meshfed: a few minutes the first time, seconds later" >&2
	@go build -ldflags '$(LDFLAGS)' -o bin/meshfed ./cmd/meshfed 2> >(grep -v '^go: downloading' >&2)

.PHONY: bundle
bundle: host build ## Build the image bundle from source, unless a current one is there
	@bin/meshfed bundle build

.PHONY: images
images: build # A registry where one can be reached, else the bundle.
	@hack/host.sh engine
	@bin/meshfed bundle pull --check -f $(TOPOLOGY) || $(MAKE) --no-print-directory bundle

.PHONY: demo
demo: images ## From a topology file to a proven two-cluster mesh
	@bin/meshfed up -f $(TOPOLOGY) --verify full
	@echo "  make demo-down    remove it all, the root key too"

.PHONY: demo-down
demo-down: build ## Remove what `make demo` made
	@bin/meshfed down -f $(TOPOLOGY) --delete-certs --yes

.PHONY: unit
unit: ## Format, vet and unit tests: the quick part
	@hack/host.sh tidy
	@test -z "$$(gofmt -l $(GO_FOLDERS))" || { echo "run gofmt on:"; gofmt -l $(GO_FOLDERS); exit 1; }
	@go vet ./...
	@go vet -tags e2e ./test/...
	@go test ./...

.PHONY: race
race: ## Unit tests of the concurrent packages under the race detector (needs a C compiler)
	@CGO_ENABLED=1 go test -race ./internal/graph/... ./internal/ui/... ./internal/poll/... ./internal/run/... ./internal/probe/... ./verify/...

.PHONY: tools
tools: build # Both engines and the bundle: what the end-to-end tests use.
	@hack/host.sh test
	@bin/meshfed bundle build

.PHONY: browser
browser: ## Reports in a real browser; installs Chromium
	@hack/host.sh browser
	@MESHFED_CHROMIUM=chromium go test -count 1 -timeout 15m ./test/browser

.PHONY: pictures
pictures: ## Make the pictures in docs/reports anew from recorded reports
	@hack/host.sh browser
	@go test ./verify/page -run TestCards -update
	@MESHFED_CHROMIUM=chromium go test ./test/browser -run TestPictures -update

.PHONY: test
test: unit tools browser ## Everything that fits two cores: unit, integration, browser and end-to-end tests
	@MESHFED_TEST_PROMETHEUS=1 go test -count 1 ./internal/prober
	@MESHFED_BIN=$(CURDIR)/bin/meshfed go test -tags e2e -count 1 -timeout 75m -v ./test/e2e

.PHONY: e2e-all
e2e-all: test ## Also what takes too long in CI: every other shape, render, SIGKILL at many moments, a network that is cut
	@MESHFED_BIN=$(CURDIR)/bin/meshfed MESHFED_E2E_ALL=1 go test -tags e2e -count 1 -timeout 120m -v -run TestAll ./test/e2e

.PHONY: lint
lint: ## golangci-lint, pinned
	@go run $(GOLANGCI_LINT) run ./...

.PHONY: vuln
vuln: ## govulncheck, pinned (asks the Go vulnerability database)
	@go run $(GOVULNCHECK) ./...

.PHONY: golden
golden: ## Rewrite golden files
	@go test $$(git grep -l '"github.com/meshfed/meshfed/internal/golden"' -- '*_test.go' ':!test' | xargs -n 1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: dist
dist: ## Make the release of this commit in dist/: archives, SBOMs, the probe's image, checksums
	@$(DIST) $(if $(VERSION),-version $(VERSION))

.PHONY: dist-check
dist-check: ## Make it in two clones and compare (COLD=1 compiles the second anew); try `go install` of it
	@hack/dist-check.sh
	@$(DIST) -check-install

.PHONY: install
install: build ## Install bin/meshfed below PREFIX (/usr/local), with manual pages and completions
	@go run ./hack/reference -out bin/share -version "$$(bin/meshfed version | sed -n '1s/^meshfed \([^ ]*\).*/\1/p')" -date "$$(git log -1 --format=%cI)"
	@install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	@install -m 755 bin/meshfed $(DESTDIR)$(PREFIX)/bin/meshfed
	@install -m 644 bin/share/man/man1/meshfed*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	@install -m 644 bin/share/completions/meshfed.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/meshfed
	@install -m 644 bin/share/completions/_meshfed $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_meshfed
	@install -m 644 bin/share/completions/meshfed.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/meshfed.fish

.PHONY: uninstall
uninstall: ## Remove what `make install` made
	@rm -f $(DESTDIR)$(PREFIX)/bin/meshfed $(DESTDIR)$(PREFIX)/share/man/man1/meshfed.1 $(DESTDIR)$(PREFIX)/share/man/man1/meshfed-*.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/meshfed $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_meshfed \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/meshfed.fish

# The probe's image alone: `go run ./hack/dist -probe` leaves dist/meshfed-probe_*.oci.tar and its digest.
.PHONY: probe-image
probe-image: ## Make the probe's image for amd64 and arm64, as an OCI archive in dist/
	@$(DIST) $(if $(VERSION),-version $(VERSION)) -probe

.PHONY: cross
cross: ## Compile and vet for every platform
	@for p in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64; do echo $$p; GOOS=$${p%/*} GOARCH=$${p#*/} go build ./... && GOOS=$${p%/*} GOARCH=$${p#*/} go vet ./... || exit 1; done

.PHONY: check-clean
check-clean: ## Fail when generated files or go.mod are not current
	@go mod tidy -diff
	@go mod verify
	@git diff --exit-code

.PHONY: clean
clean: ## Remove build output of this checkout (the image bundle stays in the cache)
	@rm -rf bin dist
