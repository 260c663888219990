// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package deptest

// Special imports that a rule can name besides import paths.
const (
	// External is every package outside the module and the standard library.
	External = "<external>"
	// Ours is every package of the module.
	Ours = "<ours>"
)

// A Rule forbids imports to packages. Package paths are relative to the module and stand
// for everything below them, as do import paths.
type Rule struct {
	// Packages that the rule binds; "" is every package.
	Packages []string
	// Except are packages that it does not bind.
	Except []string
	// Forbid are imports: packages of the module by relative path, others by import path,
	// or External or Ours.
	Forbid []string
	// Allow are exceptions to Forbid.
	Allow []string
	// Deep forbids reaching an import through other packages of the module, too.
	Deep bool
	// Why is what a person who breaks the rule should know.
	Why string
}

// Rules are the arrows of the project:
// cmd -> internal/plan -> {install, federation, verify} -> internal/{kube,cluster,bundle} -> topology, certs.
func Rules() []Rule {
	clients := []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "istio.io/client-go", "sigs.k8s.io/kind",
		"helm.sh/helm", "istio.io/istio", "github.com/spf13/cobra"}
	verbs := []string{"install", "federation", "verify"}
	machinery := []string{"internal/kube", "internal/cluster", "internal/bundle", "internal/charts"}
	leaves := []string{"internal/diag", "internal/poll", "internal/run", "internal/graph"}
	return []Rule{
		{Packages: []string{"topology", "certs"}, Forbid: clients, Deep: true,
			Why: "topology and certs are pure: what talks to a cluster belongs to install, federation or internal/kube"},
		{Packages: []string{"topology", "certs"}, Forbid: []string{Ours}, Allow: []string{"topology", "certs", "internal/diag", "internal/poll", "internal/run"}, Deep: true,
			Why: "topology and certs are the ground: they stand on nothing but diag, poll and run"},
		{Packages: []string{"install"}, Forbid: []string{"federation", "verify"}, Deep: true, Why: "install touches one cluster; internal/plan puts the order together"},
		{Packages: []string{"federation"}, Forbid: []string{"install", "verify"}, Deep: true, Why: "federation touches two clusters; internal/plan puts the order together"},
		{Packages: []string{"verify"}, Forbid: []string{"install", "federation"}, Deep: true, Why: "verify must not believe what it is to prove: it looks at clusters itself"},
		{Packages: []string{"verify/page"}, Forbid: []string{Ours, External}, Allow: []string{"verify", "topology"},
			Why: "page draws what a report says, and asks nobody"},
		{Packages: verbs, Forbid: []string{"internal/plan", "internal/ui", "cmd"}, Deep: true, Why: "the order belongs to internal/plan and the looks to internal/ui, above"},
		{Packages: machinery, Forbid: append([]string{"internal/plan", "internal/ui", "cmd"}, verbs...), Deep: true, Why: "arrows point down: internal/{kube,cluster,bundle,charts} serve install, federation and verify"},
		{Packages: []string{"internal/support"}, Forbid: append([]string{"internal/plan", "internal/ui", "cmd"}, verbs...), Deep: true,
			Why: "support gathers, and judges nothing: what was found is handed to it"},
		{Packages: []string{"internal/images"}, Forbid: []string{Ours, External}, Allow: []string{"topology", "internal/version"},
			Why: "images is names only: who asks registries is internal/registry"},
		{Packages: []string{"internal/registry"}, Forbid: []string{Ours}, Allow: []string{"internal/diag", "internal/version"}, Deep: true,
			Why: "registry speaks to registries and knows no mesh, no bundle and no cluster"},
		{Except: []string{"internal/watch"}, Forbid: []string{"github.com/prometheus/client_golang"}, Why: "the names of metrics are a contract, kept in internal/watch"},
		{Packages: []string{"internal/watch", "internal/prober"}, Forbid: []string{"internal/kube", "internal/plan", "internal/ui"}, Why: "they show and write down; clusters are looked at by verify"},
		{Packages: []string{"internal/render"}, Forbid: []string{Ours, External}, Allow: []string{"internal/diag", "internal/run"}, Why: "render knows files, not what is in them"},
		{Except: []string{"test"}, Forbid: []string{"test", "github.com/google/go-containerregistry/pkg/registry"},
			Why: "servers for tests are not part of the program"},
		{Except: []string{"internal/cluster/kind"}, Forbid: []string{"sigs.k8s.io/kind"}, Why: "only internal/cluster/kind knows kind; ask through cluster.Provider"},
		{Except: []string{"cmd", "hack"}, Forbid: []string{"github.com/spf13/cobra"}, Why: "nothing below cmd knows the command line"},
		{Except: []string{"cmd", "hack"}, Forbid: []string{"cmd"}, Deep: true, Why: "nothing imports cmd, but for the programs that write its manual"},
		{Except: []string{"hack"}, Forbid: []string{"hack"}, Why: "hack makes releases; the product knows nothing of it"},
		{Packages: []string{"internal/graph"}, Forbid: []string{Ours}, Allow: leaves[:2], Deep: true, Why: "graph knows steps and order and nothing of Istio"},
		{Packages: []string{"internal/diag", "internal/poll"}, Forbid: []string{Ours, External}, Why: "every package imports diag and poll, so they import none"},
		{Packages: []string{"internal/run"}, Forbid: []string{Ours, External}, Allow: leaves[:2], Why: "run is a leaf: standard library, diag and poll"},
		{Packages: []string{"internal/probe"}, Forbid: []string{Ours, External}, Allow: []string{"internal/probe"}, Why: "the probe's image is a few MB: standard library only"},
		{Forbid: []string{"internal/deptest", "internal/schema", "internal/golden"}, Why: "deptest and schema read source code, and golden compares files: they are for tests"},
	}
}
