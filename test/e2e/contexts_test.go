//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/verify"
)

// described writes the file of a running mesh from the kubeconfig contexts of its clusters: plan on
// it shows no change, with no state of the mesh at hand, and down on it removes nothing.
func described(t *testing.T, m *mesh) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(m.must("kubeconfig").stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	found := meshOf(t, m.engine, m.name, "")
	if err := os.Remove(found.file); err != nil {
		t.Fatal(err)
	}
	contexts := m.name + "-west," + m.name + "-east"
	init := found.must("init", "--from-contexts", contexts)
	text, err := os.ReadFile(found.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("written in %.1f s:\n%s\n%s", init.took.Seconds(), text, init.stderr)
	for _, want := range []string{"name: " + m.name, "context: " + m.name + "-west", "network: east-network", "remoteSecrets: false"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the file does not say %q", want)
		}
	}
	if again := found.run("init", "--from-contexts", contexts); again.code != 2 || !strings.Contains(again.stderr, "never overwrites") {
		t.Errorf("a second init: %s", again)
	}
	if plan := found.run("plan", "--detailed-exitcode"); plan.code != 0 {
		t.Errorf("plan on what was found shows a change: %s", plan)
	}
	if plan := found.run("plan", "--out", filepath.Join(t.TempDir(), "plan")); plan.code != 0 {
		t.Errorf("what up asks before it begins: %s", plan)
	}
	if down := found.run("down", "--dry-run", "--yes"); down.code != 0 || strings.Contains(down.stdout, "istiod@") {
		t.Errorf("down would remove what the file only checks: %s", down)
	}
	if verify := found.run("verify", "--suite", "trust,discovery"); verify.code != 0 {
		t.Errorf("verify of what was found: %s", verify)
	}
	bare := exec.Command(meshfed, "verify", "--contexts", contexts, "--suite", "trust,discovery,weights", "-o", "json", "--state-dir", t.TempDir())
	bare.Env, bare.Dir = append(os.Environ(), m.engine.env...), t.TempDir() // contexts take the place of a file
	report := m.parse(m.finish(bare))
	t.Logf("verify --contexts: %.1f s, %v", report.DurationSeconds, report.Summary)
	if report.Summary["pass"] == 0 || report.Summary["fail"]+report.Summary["inconclusive"] != 0 {
		t.Errorf("verify --contexts: %v\n%s", report.Summary, report.words())
	}
	m.unchanged("after it was described")
}

// lookOn verifies by contexts with the rights that `render rbac --for passive` prints and no other,
// and without each of them in turn: none is more than it needs.
func lookOn(t *testing.T, m *mesh) {
	var role rbacv1.ClusterRole
	if err := json.Unmarshal([]byte(m.must("render", "rbac", "--for", "passive", "-o", "json").stdout), &role); err != nil {
		t.Fatal(err)
	}
	joined := clientcmdapi.NewConfig()
	var contexts []string
	for _, name := range []string{"west", "east"} {
		c := m.client(name)
		config, err := clientcmd.LoadFromFile(filepath.Join(m.state, m.name, "kubeconfig", name))
		if err != nil {
			t.Fatal(err)
		}
		role := role.DeepCopy()
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "looks-on"}}
		binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "looks-on"},
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}}}
		for _, obj := range []client.Object{role, account, binding} {
			if err := c.Create(t.Context(), obj); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Remove(context.WithoutCancel(t.Context()), obj) })
		}
		token := &authenticationv1.TokenRequest{}
		if err := c.SubResource("token").Create(t.Context(), account, token); err != nil {
			t.Fatal(err)
		}
		own := config.Contexts[config.CurrentContext]
		joined.Clusters[own.Cluster] = config.Clusters[own.Cluster]
		joined.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
		joined.Contexts["look-"+name] = &clientcmdapi.Context{Cluster: own.Cluster, AuthInfo: name}
		contexts = append(contexts, "look-"+name)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*joined, kubeconfig); err != nil {
		t.Fatal(err)
	}
	look := func() result {
		bare := exec.Command(meshfed, "verify", "--passive", "--contexts", strings.Join(contexts, ","), "-o", "json", "--state-dir", t.TempDir())
		bare.Env, bare.Dir = append(os.Environ(), "KUBECONFIG="+kubeconfig), t.TempDir()
		return m.finish(bare)
	}
	r := look()
	report := m.parse(r)
	t.Logf("verify --passive: %.1f s, %v", report.DurationSeconds, report.Summary)
	if r.code != 0 || report.Summary["pass"] == 0 || report.Summary["fail"]+report.Summary["inconclusive"] != 0 {
		t.Errorf("with the rights that it asks for: %s\n%s", r, report.words())
	}
	east := m.client("east")
	for i, rule := range role.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				less := role.DeepCopy()
				kept := slices.DeleteFunc(slices.Clone(rule.Resources), func(r string) bool { return r == resource })
				less.Rules[i].Resources = []string{resource}
				less.Rules[i].Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(v string) bool { return v == verb })
				less.Rules = append(less.Rules, rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: kept, Verbs: rule.Verbs})
				less.Rules = slices.DeleteFunc(less.Rules, func(r rbacv1.PolicyRule) bool { return len(r.Resources) == 0 || len(r.Verbs) == 0 })
				grant(t, east, less.Name, less.Rules)
				if r := look(); r.code == 0 {
					t.Errorf("%s %s is not needed: without it the verification passes", verb, resource)
				}
			}
		}
	}
	grant(t, east, role.Name, role.Rules)
	if r := look(); r.code != 0 {
		t.Errorf("with all of them again: %s", r)
	}
}

// grant gives a ClusterRole other rules and waits until the API server acts by them.
func grant(t *testing.T, c *kube.Client, name string, rules []rbacv1.PolicyRule) {
	t.Helper()
	role := &rbacv1.ClusterRole{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: name}, role); err != nil {
		t.Fatal(err)
	}
	role.Rules = rules
	if err := c.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	allowed := func(group, resource, verb string) (bool, error) {
		resource, sub, _ := strings.Cut(resource, "/")
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:default:looks-on",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Group: group, Resource: resource, Subresource: sub, Verb: verb}}}
		err := c.Create(t.Context(), review)
		return review.Status.Allowed, err
	}
	waitUntil(t, c, "the API server to act by the new rights", func() (bool, string, error) {
		for _, all := range verify.PassiveRole() {
			for _, resource := range all.Resources {
				for _, verb := range all.Verbs {
					want := slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool {
						return slices.Equal(r.APIGroups, all.APIGroups) && slices.Contains(r.Resources, resource) && slices.Contains(r.Verbs, verb)
					})
					if got, err := allowed(all.APIGroups[0], resource, verb); err != nil || got != want {
						return false, verb + " " + resource, err
					}
				}
			}
		}
		return true, "", nil
	})
}
