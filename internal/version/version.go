// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package version

import (
	"cmp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Number is the release that this source tree is on the way to.
const Number = "0.1.0-dev"

// These are set by the linker: commit and date by every build with make, the others by
// `make dist` alone. A plain `go build` or `go install` has none of them.
var (
	number      string
	commit      string
	date        string
	probeDigest string
)

// Info is what `meshfed version -o json` prints.
type Info struct {
	// Version is the release number, without a leading v.
	Version string `json:"version"`
	// Commit is the source revision, empty when unknown.
	Commit string `json:"commit,omitempty"`
	// Date is the revision's commit date, RFC 3339 in UTC, empty when unknown.
	Date string `json:"date,omitempty"`
	// Go is the compiler's release, such as go1.26.8.
	Go string `json:"go,omitempty"`
	// Platform is what the program was built for, such as linux/amd64.
	Platform string `json:"platform,omitempty"`
	// Istio is the release whose charts are built in.
	Istio string `json:"istio,omitempty"`
	// IstioCommit is the revision of istio.io/istio that they come from.
	IstioCommit string `json:"istioCommit,omitempty"`
	// Libraries that decide what the program can talk to.
	Libraries Libraries `json:"libraries,omitzero"`
	// ProbeImage is what verify sends into meshes whose images are pulled.
	ProbeImage string `json:"probeImage,omitempty"`
}

// Libraries are releases of Go modules that are linked in.
type Libraries struct {
	// Kubernetes is the client, k8s.io/client-go.
	Kubernetes string `json:"kubernetesClient,omitempty"`
	// Kind makes clusters.
	Kind string `json:"kind,omitempty"`
	// Helm installs charts.
	Helm string `json:"helm,omitempty"`
}

// linked is what the linker has set.
type linked struct{ number, commit, date, probeDigest string }

// Get returns what this build is. Only Istio is left to those who know the charts.
func Get() Info {
	build, _ := debug.ReadBuildInfo() // nil when the program was built without modules
	return describe(linked{number, commit, date, probeDigest}, build)
}

// describe puts together what the linker and the compiler say; build may be nil.
func describe(l linked, build *debug.BuildInfo) Info {
	if build == nil {
		build = &debug.BuildInfo{}
	}
	source := revisionOf(build)
	i := Info{
		Version: strings.TrimPrefix(cmp.Or(l.number, source.number, Number), "v"),
		Commit:  cmp.Or(l.commit, source.commit), Date: inUTC(cmp.Or(l.date, source.date)),
		Go: cmp.Or(build.GoVersion, runtime.Version()), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, d := range build.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		switch d.Path {
		case "istio.io/istio":
			_, i.IstioCommit = pseudo(d.Version)
		case "k8s.io/client-go":
			i.Libraries.Kubernetes = d.Version
		case "sigs.k8s.io/kind":
			i.Libraries.Kind = d.Version
		case "helm.sh/helm/v4":
			i.Libraries.Helm = d.Version
		}
	}
	i.ProbeImage = probeImage(i.Version, l.probeDigest)
	return i
}

// String is "meshfed <number> (<commit>, <date>)", without what is unknown.
func (i Info) String() string {
	var parts []string
	for _, p := range []string{i.Commit, i.Date} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return "meshfed " + i.Version
	}
	return "meshfed " + i.Version + " (" + strings.Join(parts, ", ") + ")"
}

// inUTC rewrites a date that has an offset; what is no date stays as it is.
func inUTC(date string) string {
	if t, err := time.Parse(time.RFC3339, date); err == nil {
		return t.UTC().Format(time.RFC3339)
	}
	return date
}
