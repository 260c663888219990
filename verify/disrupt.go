// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// disruption is one disruptive fault: what goes away, where, and between which clusters.
type disruption struct {
	*session
	kind string
	// m is the cluster whose gateway goes, or that is cut off from others.
	m      *member
	others []string
	// entries of the journal that were written or tried to.
	entries []*journalled
	seen    []FaultSeen
}

type journalled struct {
	Fault
	began time.Time
	// made is false while it is not known whether the entry was written.
	made bool
}

// disrupt makes the disruptive faults one after another and keeps what their loads saw. Where
// one does not apply, the line says why.
func (s *session) disrupt(ctx context.Context, all map[LineKey]Line) []FaultSeen {
	if !s.options.Disruptive {
		return nil
	}
	var seen []FaultSeen
	for _, c := range s.world.Clusters {
		for _, d := range []*disruption{s.gatewayAway(c), s.networkAway(c)} {
			runs := s.trials(d.concerns)
			for _, r := range runs {
				if why := d.inapplicable(r.pair()); why != "" {
					all[r.key] = Line{Skipped: why, Rate: r.line.Rate, Policy: r.line.Policy}
				}
			}
			runs = slices.DeleteFunc(runs, func(r *run) bool { return all[r.key].Skipped != "" })
			if len(runs) == 0 || ctx.Err() != nil {
				continue
			}
			s.state(d.what())
			s.trial(ctx, runs, d, nil)
			keep(all, runs)
			seen = append(seen, d.seen...)
		}
	}
	return seen
}

// gatewayAway takes the gateway of a cluster away from all others.
func (s *session) gatewayAway(c string) *disruption {
	return &disruption{session: s, kind: FaultGateway, m: s.members[c]}
}

// networkAway cuts a cluster off from those that come after it in the file: earlier ones were
// cut off from it in their own turn.
func (s *session) networkAway(c string) *disruption {
	return &disruption{session: s, kind: FaultNetwork, m: s.members[c], others: s.world.Clusters[slices.Index(s.world.Clusters, c)+1:]}
}

// concerns says which loads see the fault.
func (d *disruption) concerns(p topology.Pair, f faultKind) bool {
	if f.Name != d.kind {
		return false
	}
	if d.kind == FaultGateway {
		return p.To == d.m.name
	}
	return p.From == d.m.name && slices.Contains(d.others, p.To) || p.To == d.m.name && slices.Contains(d.others, p.From)
}

// inapplicable says why the fault can not be made between two clusters; "" when it can.
func (d *disruption) inapplicable(p topology.Pair) string {
	switch {
	case d.kind == FaultGateway && !d.world.apart(p.From, p.To):
		return fmt.Sprintf("%s and %s share a network: no gateway is between them", p.From, p.To)
	case d.kind == FaultGateway:
		return ""
	case d.mesh.Network == nil:
		return "no container engine is at hand by which a network could be cut"
	}
	return or(d.mesh.Network.Unable(p.From), d.mesh.Network.Unable(p.To))
}

func (d *disruption) what() string {
	if d.kind == FaultGateway {
		return "taking the east-west gateway of " + d.m.name + " away"
	}
	return fmt.Sprintf("cutting %s off from %s", d.m.name, strings.Join(d.severed(), ", "))
}

// severed are those of the others that it can be cut off from.
func (d *disruption) severed() []string {
	return slices.DeleteFunc(slices.Clone(d.others), func(other string) bool {
		return d.inapplicable(topology.Pair{From: d.m.name, To: other}) != ""
	})
}

// lasts is the time that a fault may need: what was planned and what a loaded machine adds.
func (d *disruption) lasts() time.Duration {
	return time.Duration(d.mesh.Topology.Spec.Verify.Failover.Within) + settleTime + switchTime
}

// fail writes the journal, here and onto the objects, and makes the fault.
func (d *disruption) fail(ctx context.Context) error {
	targets, err := d.targets(ctx)
	if err != nil {
		return err
	}
	until := time.Now().Add(d.lasts()).UTC().Truncate(time.Second)
	for _, f := range targets {
		f.Kind, f.Cluster, f.Cut, f.Until, f.By, f.Namespace = d.kind, d.m.name, d.severed(), until, whoami(), d.m.namespace
		if d.options.Journal != nil {
			if err := d.options.Journal(f); err != nil {
				return fmt.Errorf("keeping the journal: %w", err)
			}
		}
		e := &journalled{Fault: f, began: time.Now()}
		d.entries = append(d.entries, e) // also when the answer gets lost
		err := poll.Until(ctx, poll.Options{What: f.Object + " of " + d.m.name + " to take the fault", Interval: 300 * time.Millisecond, Deadline: undoWithin},
			func(ctx context.Context) (bool, string, error) {
				err := e.journal(ctx, d.m.client)
				e.made = err == nil
				return e.made, "", err
			})
		if errors.Is(err, errOthers) {
			d.entries = d.entries[:len(d.entries)-1] // what is not ours is not taken back
		}
		if err != nil {
			return err
		}
	}
	if d.kind == FaultNetwork {
		return d.cut(ctx, until)
	}
	return d.crash(ctx)
}

// cut gives the engine as long as a fault may take to be made: one that hangs would outlast it.
func (d *disruption) cut(ctx context.Context, until time.Time) error {
	within := cmp.Or(d.options.within, undoWithin)
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := d.mesh.Network.Cut(bounded, d.m.name, d.severed(), time.Until(until))
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s: not made within %s: %w", d.what(), within, err)
	}
	return err
}

// targets are the objects that the fault changes, as they are now: every Deployment behind the
// gateway's label, or every node.
func (d *disruption) targets(ctx context.Context) ([]Fault, error) {
	var all []Fault
	if d.kind == FaultNetwork {
		var nodes corev1.NodeList
		if err := d.m.client.List(ctx, &nodes); err != nil {
			return nil, d.m.client.Explain(err, "listing nodes")
		}
		for i := range nodes.Items {
			all = append(all, Fault{Object: objectName("Node", &nodes.Items[i])})
		}
		return all, nil
	}
	var list appsv1.DeploymentList
	if err := d.m.client.List(ctx, &list, client.InNamespace(topology.SystemNamespace)); err != nil {
		return nil, d.m.client.Explain(err, "listing Deployments")
	}
	for i := range list.Items {
		if list.Items[i].Spec.Template.Labels["istio"] == topology.EastWestSelector {
			all = append(all, Fault{Object: objectName("Deployment", &list.Items[i]), Replicas: replicas(&list.Items[i])})
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no Deployment with the label istio=%s, and nothing else is scaled", d.m.name, topology.EastWestSelector)
	}
	return all, nil
}

// crash deletes the gateway's pods at once: one that drains still serves, and failover is about
// what happens without a warning.
func (d *disruption) crash(ctx context.Context) error {
	pods, err := d.m.client.Pods(ctx, topology.SystemNamespace, map[string]string{"istio": topology.EastWestSelector})
	if err != nil {
		return d.m.client.Explain(err, "listing the east-west gateway")
	}
	for i := range pods {
		if err := d.m.client.Delete(ctx, &pods[i], client.GracePeriodSeconds(0)); err != nil && !kube.Absent(err) {
			return d.m.client.Explain(err, "deleting "+pods[i].Name)
		}
	}
	return nil
}

// mend takes back what fail did, as far as it came.
func (d *disruption) mend(ctx context.Context) error {
	var errs []error
	for _, e := range d.entries {
		seen := FaultSeen{Fault: e.Fault, Replaced: d.replaced(ctx, e.Fault)}
		if err := e.undo(ctx, d.m.client, d.mesh.Network); err != nil {
			seen.Problem = sentence(err)
			errs = append(errs, err)
		}
		seen.Took = time.Since(e.began).Round(time.Millisecond)
		if e.made || seen.Problem != "" {
			d.seen = append(d.seen, seen)
		}
	}
	d.entries = nil
	return errors.Join(errs...)
}

// replaced says whether somebody else has changed what the fault set.
func (d *disruption) replaced(ctx context.Context, f Fault) string {
	obj, err := f.target()
	if err != nil || d.m.client.Get(ctx, client.ObjectKeyFromObject(obj), obj) != nil {
		return ""
	}
	gateway, ok := obj.(*appsv1.Deployment)
	if !ok || obj.GetAnnotations()[AnnotationFault] == "" || gateway.Spec.Replicas == nil || *gateway.Spec.Replicas == 0 {
		return ""
	}
	return fmt.Sprintf("somebody else scaled %s of %s to %d while it was away, and that stays; it had %s", f.Object, f.Cluster, *gateway.Spec.Replicas, someReplicas(f.Replicas))
}

// Touches says, line by line, what the disruptive faults of a run would touch, and where they do
// not apply. clusters empty means all. It looks at no cluster.
func Touches(t *topology.Topology, clusters []string, network Network) []string {
	s := newSession(Mesh{Topology: t, Network: network}, Options{Disruptive: true}, members(t, clusters), []string{SuiteFailover}, time.Now())
	var lines []string
	for _, c := range s.world.Clusters {
		for _, d := range []*disruption{s.gatewayAway(c), s.networkAway(c)} {
			whys := map[string]bool{}
			applies := false
			for _, p := range s.world.pairs() {
				if d.concerns(p, faultKind{Name: d.kind}) {
					why := d.inapplicable(p)
					applies = applies || why == ""
					whys[why] = true
				}
			}
			switch {
			case applies && d.kind == FaultGateway:
				lines = append(lines, fmt.Sprintf("the east-west gateway of %s is scaled to 0 and its pods deleted, for %s at most; then it is scaled back", c, d.lasts()))
			case applies:
				lines = append(lines, fmt.Sprintf("nodes of %s drop all that comes from %s, for %s at most, by a rule that ends by itself", c, strings.Join(d.severed(), ", "), d.lasts()))
			default:
				for _, why := range slices.Sorted(maps.Keys(whys)) {
					lines = append(lines, "no "+d.kind+" fault: "+why)
				}
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
