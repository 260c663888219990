// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// Mesh is what is verified.
type Mesh struct {
	// Topology says what shall hold.
	Topology *topology.Topology
	// Clients by cluster. A cluster without one is judged inconclusive.
	Clients map[string]*kube.Client
	// ProbeImage that nodes can start, for example from the bundle.
	ProbeImage string
	// Login is the content of the secret by which nodes pull, where the topology names one
	// (spec.images.pullSecret); nil or an error when this host knows none.
	Login func(context.Context) (map[string][]byte, error)
	// Substitutions say what stands in for a published component; they head every report.
	Substitutions []string
	// Outside are the clients outside of the mesh that ingress gateways are tried with; without
	// one those checks are skipped.
	Outside []Outside
	// Network cuts clusters off for the failover suite; nil where that can not be done.
	Network Network
	// Owner is the owner id that the probe's objects are labelled with.
	Owner string
	// Tool is the version that stands in the report.
	Tool string
}

// Options choose what is verified.
type Options struct {
	// Suites by name; empty means those of the topology, or else all but failover.
	Suites []string
	// Failover adds the suite failover when Suites is empty.
	Failover bool
	// Access to what is looked at; without probes, suites that need them are refused.
	Access Access
	// Clusters that both ends of a pair must be among; empty means all.
	Clusters []string
	// Disruptive lets the suite failover take gateways and networks away, journalled: see Fault.
	Disruptive bool
	// Journal is told every fault before it is made, to be kept where the caller keeps things. An
	// error means that the fault is not made. May be nil.
	Journal func(Fault) error
	// Live is told, several times a second and by several at once, how far a load of the suite
	// failover is. May be nil.
	Live func(Progress)
	// Observe is told each result as soon as it is judged, one at a time. May be nil.
	Observe func(Result)
	// State is told what is being waited for, one at a time. May be nil.
	State func(string)
	// within, if set, stands in for the times after which what is not seen is given up: tests are in a hurry.
	within time.Duration
}

// Progress is who answered a load so far, in steps of probe.BucketWidth.
type Progress struct {
	From, To, Variant string
	// Own, Other and Lost count answers of From, those of To, and what was lost.
	Own, Other, Lost []int
	// Fault and Repair are the steps in which those were; 0 before they are.
	Fault, Repair int
}

// ErrBusy is what errors.Is finds when another verification is under way in a cluster.
var ErrBusy = errors.New("another verify is under way")

// Run verifies the mesh and blocks until nothing of it is left in the clusters, at most
// some minutes; after the end of ctx, until the clusters have taken on the removal, at most
// some seconds. What could not be looked at is inconclusive in the report and no error.
//
// An error with a nil report means that nothing was judged: a suite or cluster that does not
// exist, ErrBusy, or the end of ctx; then it names what disruptive faults have left, too. An
// error beside a report means that the probe's namespace, or that of a watch that was killed,
// could not be seen to be gone. It is safe to run again after either.
func Run(ctx context.Context, mesh Mesh, options Options) (*Report, error) {
	suites, err := chosen(mesh.Topology, options)
	if err != nil {
		return nil, err
	}
	clusters, err := chosenClusters(mesh.Topology, options.Clusters)
	if err != nil {
		return nil, err
	}
	started := time.Now()
	s := newSession(mesh, options, clusters, suites, started)
	if options.Access.probes() {
		err = s.prove(ctx)
	} else {
		err = s.lookOn(ctx)
	}
	var report *Report
	if err == nil {
		report = s.report(clusters, suites, started)
	}
	if options.Access.probes() {
		s.state("removing the probes")
	}
	judged := time.Now()
	removed := s.remove(ctx) // after an interrupt, too
	if s.swept != nil {
		removed = errors.Join(removed, <-s.swept)
	}
	if report == nil {
		return nil, errors.Join(err, s.unrestored(), removed)
	}
	if report.Requests = s.requests(); options.Access.probes() {
		report.RemovalSeconds = rounded(time.Since(judged))
	}
	return report, removed
}

// report is everything that was judged, with what coverage demands.
func (s *session) report(clusters, suites []string, started time.Time) *Report {
	report := newReport(s.mesh.Topology, clusters, suites, s.finish())
	report.Tool, report.Restored = s.mesh.Tool, s.restored
	report.Substitutions = append(report.Substitutions, s.mesh.Substitutions...)
	for i, m := range report.Members {
		report.Members[i].Addresses = s.world.Gateways[m.Name].Addresses
		if member := s.members[m.Name]; member != nil {
			report.Members[i].Silent = member.blind()
		}
	}
	report.Facts = look(s, (*World).facts)
	report.StartedAt = started.UTC().Truncate(time.Millisecond)
	report.DurationSeconds, report.Requests = rounded(time.Since(started)), s.requests()
	for _, r := range report.Checks {
		if r.ID == CoverageCheck && s.options.Observe != nil {
			s.options.Observe(r)
		}
	}
	return report
}

// unrestored is an error for each disruptive fault that could not be taken back: a report says it
// itself, an interrupt leaves none.
func (s *session) unrestored() error {
	var errs []error
	for _, f := range look(s, func(w *World) []FaultSeen { return w.Faults }) {
		if f.Problem != "" {
			errs = append(errs, diag.Hint(fmt.Errorf("%s, and could not be restored: %s", f.Fault, f.Problem), "`meshfed verify` or `meshfed up` tries it again before anything else"))
		}
	}
	return errors.Join(errs...)
}

func rounded(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// chosen is the list of suites in the order in which they are shown.
func chosen(t *topology.Topology, o Options) ([]string, error) {
	want := o.Suites
	if len(want) == 0 && !o.Access.probes() {
		want = PassiveSuites()
	}
	if len(want) == 0 {
		want = t.Spec.Verify.Suites
	}
	if len(want) == 0 {
		want = slices.DeleteFunc(Suites(), func(s string) bool { return s == SuiteFailover && !o.Failover })
	}
	if err := CheckSuites(want, o.Access); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(Suites(), func(s string) bool { return !slices.Contains(want, s) }), nil
}

// CheckSuites refuses names of suites that there are not, and, without probes, those that send
// requests.
func CheckSuites(suites []string, access Access) error {
	for _, s := range suites {
		switch {
		case !slices.Contains(Suites(), s):
			return diag.Hint(fmt.Errorf("there is no suite %q", s), "there are "+strings.Join(Suites(), ", "))
		case !access.probes() && !slices.Contains(PassiveSuites(), s):
			return diag.Hint(fmt.Errorf("suite %q sends requests, which --passive does not", s),
				"without probes there are "+strings.Join(PassiveSuites(), ", "))
		}
	}
	return nil
}

func chosenClusters(t *topology.Topology, want []string) ([]string, error) {
	for _, c := range want {
		if t.Cluster(c) == nil {
			return nil, diag.Hint(fmt.Errorf("the topology has no cluster %q", c), "clusters: "+strings.Join(t.Names(), ", "))
		}
	}
	clusters := members(t, want)
	for _, c := range clusters {
		// The probes' rules must be where istiod reads them.
		if config := t.Cluster(c).Config; !slices.Contains(clusters, config) {
			return nil, diag.Hint(fmt.Errorf("%s can not be verified without %s, whose Istio objects hold for it too", c, config), "add "+config+" to --clusters")
		}
	}
	return clusters, nil
}

// members are the clusters with workloads among those that are wanted, all when none is named.
func members(t *topology.Topology, want []string) []string {
	return slices.DeleteFunc(t.Members(), func(c string) bool { return len(want) > 0 && !slices.Contains(want, c) })
}
