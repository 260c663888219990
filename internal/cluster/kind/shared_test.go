// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/topology"
)

// sharedProvider is a Provider on a network that is everybody's.
func sharedProvider(t *testing.T, behave string, answers ...clustertest.Answer) (*Provider, *clustertest.Engine) {
	t.Helper()
	p, e, _ := fakeProvider(t, behave, append(answers, clustertest.Answer{To: "network inspect", Out: `[{"name": "kind", "dns_enabled": true, "subnets": [{"subnet": "10.89.0.0/24"}]}]`})...)
	p.network, p.Shared = "kind", true
	return p, e
}

// Whose a cluster on a shared network is, is not said by its name.
func TestOnASharedNetworkOnlyProvenClustersAreOurs(t *testing.T) {
	t.Parallel()
	port, admin := apiServer(t, http.StatusOK)
	mine, other := map[string]string{topology.LabelTopology: "lab", topology.LabelOwner: "o1"}, map[string]string{topology.LabelTopology: "lab", topology.LabelOwner: "o2"}
	noRecord := clustertest.Answer{To: "cp", Fails: "no such file or directory"}
	created := func(at string) clustertest.Answer {
		return clustertest.Answer{To: "container inspect --format", Out: `"` + at + `"`}
	}
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		noted   []string // containers in a note; nil for no note
		ours    bool
	}{
		"the record says so":         {[]clustertest.Answer{recordedAs(t, record{Labels: mine, Spec: west()}, admin)}, nil, true},
		"another owner's record":     {[]clustertest.Answer{recordedAs(t, record{Labels: other, Spec: west()}, admin)}, nil, false},
		"no record and no note":      {[]clustertest.Answer{noRecord}, nil, false},
		"noted before it was made":   {[]clustertest.Answer{created(time.Now().Add(time.Minute).Format(time.RFC3339Nano)), noRecord}, []string{}, true},
		"noted long before":          {[]clustertest.Answer{created("2126-11-22T10:00:00.5Z"), noRecord}, []string{}, false},
		"there before the note":      {[]clustertest.Answer{created("2020-11-22T10:00:00+01:00"), noRecord}, []string{}, false},
		"noted with its containers":  {[]clustertest.Answer{noRecord}, []string{"id-lab-west"}, true},
		"others took its place":      {[]clustertest.Answer{noRecord}, []string{"id-of-one-long-gone"}, false},
		"a note of a stranger's day": {[]clustertest.Answer{created("no time at all"), noRecord}, []string{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, e := sharedProvider(t, "ok", append(test.answers, exists("running", "kind", port)...)...)
			if test.noted != nil {
				if err := p.intend("lab-west", test.noted); err != nil {
					t.Fatal(err)
				}
			}
			list, err := p.List(t.Context())
			if err != nil || (len(list) == 1) != test.ours {
				t.Errorf("listed %q, %v", list, err)
			}
			_, lookErr := p.Look(t.Context(), west())
			deleteErr := p.Delete(t.Context(), "lab-west")
			removed := len(e.Calls("rm "))
			if test.ours && (lookErr != nil || deleteErr != nil || removed != 1) {
				t.Errorf("ours: look %v, delete %v, removed %d", lookErr, deleteErr, removed)
			}
			if !test.ours && (!errors.Is(lookErr, cluster.ErrForeign) || !errors.Is(deleteErr, cluster.ErrForeign) || removed != 0) {
				t.Errorf("not ours: look %v, delete %v, removed %d", lookErr, deleteErr, removed)
			}
			if left, _ := os.ReadDir(p.Dir); test.ours && len(left) != 0 {
				t.Errorf("notes left: %v", left)
			}
		})
	}
}

func TestClustersOfOthersOnASharedNetworkAreNotListed(t *testing.T) {
	t.Parallel()
	p, e := sharedProvider(t, "ok", clustertest.Answer{To: "ps", Out: "id"}, clustertest.Answer{To: "container inspect", Out: inspect("theirs", "running", "kind", 1)})
	if list, err := p.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%q, %v", list, err)
	}
	if calls := append(e.Calls("exec"), e.Calls("cp")...); len(calls) != 0 {
		t.Errorf("looked into what is theirs: %q", calls)
	}
}

// A cluster whose making fails on a shared network can be removed, and made again, later.
func TestHalfMadeOnASharedNetwork(t *testing.T) {
	t.Parallel()
	p, _ := sharedProvider(t, "fail", nothing()...)
	if err := p.Ensure(t.Context(), west()); err == nil || !strings.Contains(err.Error(), "kubeadm said no") {
		t.Fatal(err)
	}
	left, err := os.ReadDir(p.Dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("notes: %v, %v", left, err)
	}
	if info, err := left[0].Info(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if _, ok := p.intended("lab-west"); !ok {
		t.Error("the note is not read back")
	}
	p.labels = map[string]string{topology.LabelTopology: "lab", topology.LabelOwner: "o2"}
	if _, ok := p.intended("lab-west"); ok {
		t.Error("the note of another owner counts")
	}
}

func TestASharedNetworkIsNotMade(t *testing.T) {
	t.Parallel()
	p, _ := sharedProvider(t, "ok", append(nothing(), clustertest.Answer{To: "network inspect", Fails: "network not found"})...)
	p.network = "theirs"
	if err := p.Ensure(t.Context(), west()); !errors.Is(err, cluster.ErrNoNetwork) {
		t.Errorf("%v", err)
	}
	p.network = "kind"
	if err := p.Ensure(t.Context(), west()); err != nil {
		t.Errorf("the one that kind makes itself: %v", err)
	}
}

func TestVolumesOfOthersStay(t *testing.T) {
	t.Parallel()
	p, e := sharedProvider(t, "ok", append([]clustertest.Answer{{To: "volume ls", Out: fixture(t, "volumes.json")}}, nothing()...)...)
	if status, err := p.Look(t.Context(), west()); err != nil || status.State != cluster.Absent {
		t.Errorf("%s, %v", status.State, err)
	}
	if err := p.Delete(t.Context(), "lab-west"); err != nil || len(e.Calls("volume rm")) != 0 {
		t.Errorf("%v, %q", err, e.Calls("volume"))
	}
}

// A note of what was never made must not make us the owner of what someone else makes later.
func TestANoteOfNothingIsForgotten(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answers []clustertest.Answer
		kept    bool
	}{
		"nothing was made": {nothing(), false},
		"a container was":  {append([]clustertest.Answer{{To: "ps", Once: true}, {To: "ps", Once: true}}, exists("created", "kind", 1)...), true},
		"a volume was":     {append([]clustertest.Answer{{To: "volume ls", Out: fixture(t, "volumes.json")}}, nothing()...), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := sharedProvider(t, "refuse", test.answers...)
			if err := p.Ensure(t.Context(), west()); err == nil || !strings.Contains(err.Error(), "kind refuses") {
				t.Errorf("%v", err)
			}
			if _, kept := p.intended("lab-west"); kept != test.kept {
				t.Errorf("the note is there: %v", kept)
			}
		})
	}
}
