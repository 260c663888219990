// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDerivedNames(t *testing.T) {
	t.Parallel()
	topology := topologyOf(t, "west", "east", "north")
	for what, test := range map[string]struct{ got, want any }{
		"KindName":          {topology.KindName("west"), "demo-west"},
		"Context":           {topology.Context("west"), "demo-west"},
		"NetworkName":       {topology.NetworkName(), "meshfed-demo"},
		"OwnsNetwork":       {topology.OwnsNetwork(), true},
		"RemoteSecretName":  {RemoteSecretName("east"), "istio-remote-secret-east"},
		"Names":             {topology.Names(), []string{"west", "east", "north"}},
		"Peers":             {topology.Peers("east"), []string{"west", "north"}},
		"HasEastWest":       {topology.HasEastWest(), true},
		"HasEastWest alone": {topologyOf(t, "west").HasEastWest(), false},
		"Pairs": {topology.Pairs(), []Pair{
			{"west", "east"}, {"west", "north"}, {"east", "west"}, {"east", "north"}, {"north", "west"}, {"north", "east"},
		}},
		"Pairs alone": {topologyOf(t, "west").Pairs(), []Pair(nil)},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	if c := topology.Cluster("east"); c == nil || c != &topology.Spec.Clusters[1] {
		t.Errorf("Cluster(east) is %+v", c)
	}
	if c := topology.Cluster("south"); c != nil {
		t.Errorf("Cluster(south) is %+v", c)
	}
}

// TestSharedNetwork covers names of topologies that join somebody's network, and of discovery,
// which is laid out but not accepted yet.
func TestSharedNetwork(t *testing.T) {
	t.Parallel()
	topology := topologyOf(t, "west", "east")
	topology.Spec.ContainerNetwork = "kind"
	if topology.NetworkName() != "kind" || topology.OwnsNetwork() {
		t.Errorf("the network is %q, own: %v", topology.NetworkName(), topology.OwnsNetwork())
	}
	topology.Spec.Discovery = map[string][]string{"west": {"east"}}
	if got := topology.Peers("west"); !cmp.Equal(got, []string{"east"}) {
		t.Errorf("Peers(west) is %v", got)
	}
	if got := topology.Peers("east"); len(got) != 0 {
		t.Errorf("Peers(east) is %v", got)
	}
}

func TestNameLimit(t *testing.T) {
	t.Parallel()
	parse := func(length int) error {
		name := strings.Repeat("a", length-len("demo-"))
		_, err := Parse("a", []byte(header+"spec: {clusters: [{name: "+name+"}]}\n"))
		return err
	}
	if err := parse(MaxNameLength); err != nil {
		t.Errorf("%d characters are refused: %v", MaxNameLength, err)
	}
	if node := MaxNameLength + len("-control-plane"); node != 63 {
		t.Errorf("the longest node has %d characters", node)
	}
	if err := parse(MaxNameLength + 1); err == nil || !strings.Contains(err.Error(), "write a shorter name") {
		t.Errorf("%d characters gave %v", MaxNameLength+1, err)
	}
}

func TestLabelSyntax(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for _, test := range []struct {
		text                 string
		label, domain, value bool
	}{
		{"west", true, true, true}, {"us-west-1", true, true, true}, {"0", true, true, true}, {long, true, true, true},
		{"", false, false, false}, {"-a", false, false, false}, {"a-", false, false, false}, {long + "a", false, false, false},
		{"a.b", false, true, true}, {"a..b", false, false, true}, {"West", false, false, true}, {"a_b", false, false, true},
		{"ä", false, false, false}, {"a b", false, false, false}, {"a/b", false, false, false}, {"a\n", false, false, false},
	} {
		if got := isLabel(test.text); got != test.label {
			t.Errorf("isLabel(%q) = %v", test.text, got)
		}
		if got := isDomain(test.text); got != test.domain {
			t.Errorf("isDomain(%q) = %v", test.text, got)
		}
		if got := isLabelValue(test.text); got != test.value {
			t.Errorf("isLabelValue(%q) = %v", test.text, got)
		}
	}
}

// TestEveryRefusalIsShown: a row of the table names a field that exists and is shown by a
// wrong file, so that whoever builds the field finds the row, the file and its golden file.
func TestEveryRefusalIsShown(t *testing.T) {
	t.Parallel()
	var goldens strings.Builder
	for _, file := range globOf(t, "testdata/wrong/*.golden") {
		goldens.Write(readOf(t, file))
	}
	for _, r := range refusals() {
		if !fieldExists(reflect.TypeFor[Topology](), r.path) {
			t.Errorf("%s: there is no such field", r.path)
		}
		if !strings.Contains(goldens.String(), r.why+" are planned, but not built yet ("+r.write+")") {
			t.Errorf("%s: no file of testdata/wrong shows %q", r.path, r.why)
		}
	}
}

// fieldExists follows a row's path through the types.
func fieldExists(at reflect.Type, path string) bool {
	for part := range strings.SplitSeq(path, ".") {
		key, item, isItem := strings.Cut(part, "[")
		if key == "*" {
			return at.Kind() == reflect.Struct
		}
		index, ok := fieldsOf(at).index[key]
		if !ok {
			return false
		}
		at = at.Field(index).Type
		if isItem && (at.Kind() != reflect.Slice || !strings.HasSuffix(item, "]")) {
			return false
		}
		for at.Kind() == reflect.Pointer || isItem && at.Kind() == reflect.Slice {
			at = at.Elem()
		}
	}
	return true
}

// TestEnumsAreDefaults: the words of the constants are accepted where they belong.
func TestEnumsAreDefaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		of    any
		field string
		words []string
	}{
		{Topology{}, "APIVersion", []string{APIVersion}},
		{Topology{}, "Kind", []string{Kind}},
		{Mesh{}, "MTLS", []string{MTLSPermissive, MTLSStrict}},
		{Root{}, "Keep", []string{KeepFile, KeepNone}},
		{Credentials{}, "Refresh", []string{RefreshManual, RefreshInCluster}},
		{LoadBalancer{}, "Type", []string{LoadBalancerMetalLB, LoadBalancerExisting, LoadBalancerNone}},
		{EastWestService{}, "Type", []string{ServiceLoadBalancer, ServiceNodePort}},
		{KeySpec{}, "Algorithm", []string{AlgorithmECDSAP256, AlgorithmECDSAP384, AlgorithmRSA2048, AlgorithmRSA3072, AlgorithmRSA4096}},
		{Intermediate{}, "Algorithm", []string{AlgorithmECDSAP256, AlgorithmECDSAP384, AlgorithmRSA2048, AlgorithmRSA3072, AlgorithmRSA4096}},
		{Node{}, "Role", []string{RoleControlPlane, RoleWorker}},
	} {
		field, ok := reflect.TypeOf(test.of).FieldByName(test.field)
		if !ok {
			t.Fatalf("%T has no %s", test.of, test.field)
		}
		if got := strings.Split(field.Tag.Get("enum"), ","); !cmp.Equal(got, test.words) {
			t.Errorf("%T.%s accepts %v, want %v", test.of, test.field, got, test.words)
		}
	}
}
