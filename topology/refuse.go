// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"regexp"
	"slices"
	"strings"
)

// Suites lists the verification suites, in the order in which they run.
func Suites() []string {
	return []string{"trust", "discovery", "weights", "locality", "failover", "authorization", "gateway", "dns", "services"}
}

// refusal is a part of the file that is laid out but not built yet. Whoever builds it deletes
// its row.
type refusal struct {
	path  string   // [*] stands for any index, .* for any key
	allow []string // values that are fine all the same
	any   bool     // refused even when empty: being there is a choice
	why   string
	write string
}

// refusals is everything that the types promise and this version does not do.
// An empty value ("", {} or []) means the default and is always fine unless any is set.
func refusals() []refusal {
	const cluster = "spec.clusters[*]"
	return []refusal{
		{path: cluster + ".provider.clusterAPI", any: true, why: "clusters made by Cluster API", write: "use provider.kind"},
		{path: cluster + ".loadBalancer.addresses[1]", any: true, why: "several address ranges for one cluster", write: "keep one range"},
		{path: cluster + ".eastWest.service.type", allow: []string{ServiceLoadBalancer}, why: "east-west gateways behind another Service", write: "write LoadBalancer or remove it"},
		{path: cluster + ".addons", why: "observability add-ons", write: "remove them"},
		{path: "spec.certificates.root.files", any: true, why: "roots of your own", write: "use generate"},
		{path: "spec.certificates.root.kms", any: true, why: "root keys in a key management system", write: "use generate"},
		{path: "spec.certificates.root.keep", allow: []string{KeepFile}, why: "root keys that are not kept", write: "write File or remove it"},
		{path: "spec.certificates.intermediate.files", any: true, why: "intermediates that another authority signed", write: "remove it; they are generated"},
		{path: "spec.credentials.refresh", allow: []string{RefreshManual}, why: "credentials that are refreshed inside the clusters", write: "write Manual or remove it; up renews them"},
	}
}

// refuse adds a problem for everything that the file says and that is not built yet.
func (c *collector) refuse() {
	paths := make([]string, 0, len(c.places))
	for path := range c.places {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, r := range refusals() {
		pattern := pathPattern(r.path)
		head, _, _ := strings.Cut(r.path, "*") // a file may say a hundred thousand things
		tail := r.path[strings.LastIndexAny(r.path, "*.]")+1:]
		for _, path := range paths {
			if strings.HasPrefix(path, head) && strings.HasSuffix(path, tail) && pattern.MatchString(path) && r.applies(c.places[path]) {
				c.add(path, r.why+" are planned, but not built yet", r.write)
			}
		}
	}
}

func (r refusal) applies(said place) bool {
	if said.empty && !r.any {
		return false
	}
	return !slices.Contains(r.allow, said.value)
}

// pathPattern matches the paths of a row, not what is below them.
func pathPattern(path string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(path)
	quoted = strings.ReplaceAll(quoted, `\[\*\]`, `\[[0-9]+\]`)
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, `\*`, `[A-Za-z]+`) + "$")
}
