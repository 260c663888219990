//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// policyController enforces NetworkPolicies with iptables and ipset; it is licensed under Apache 2.0.
const policyController = "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@v2.1.0"

// deniedByDefault: every namespace of probes gets a NetworkPolicy that lets nothing in or out, and
// somebody enforces it. Where the probes' own policy, which opens them, is refused, nobody can tell
// anything; else all is proven as ever.
func deniedByDefault(t *testing.T, m *mesh) {
	m.enforced(t)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.denying(ctx)
	}()
	defer func() {
		stop()
		<-over
	}()
	t.Run("and a policy of theirs is refused", func(t *testing.T) {
		m.t = t
		m.under(noOpening, m.both(), func() {
			trial := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "open"}}
			for _, cluster := range m.both() {
				m.inForce(cluster, trial, func(_ client.Object, err error) bool { return err != nil })
			}
			m.unsure("discovery,weights,locality", []string{"NetworkPolicy"})
		})
	})
	t.Run("and the probes open themselves", func(t *testing.T) {
		m.t = t
		m.must("verify", "--suite", "trust,discovery,weights,locality,authorization,gateway,dns")
	})
	m.t = t
}

const noOpening = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: nobody-opens}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [networking.k8s.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [networkpolicies]}]
  validations:
  - {expression: "object.metadata.name != 'open'", message: the network is opened by the network team}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: nobody-opens}
spec: {policyName: nobody-opens, validationActions: [Deny]}
`

// denying gives the namespace of the probes a policy that lets nothing in or out as soon as it is
// there, until ctx ends.
func (m *mesh) denying(ctx context.Context) {
	for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		for _, cluster := range m.both() {
			deny := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: probes, Name: "default-deny"}, Spec: networkingv1.NetworkPolicySpec{
				PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			}}
			_ = m.client(cluster).Create(ctx, deny) // there already, or the namespace is not
		}
	}
}

// enforced has the policy controller run in the network of every node until the test ends; the
// bridge between a node's pods must show it what passes. Its rules stay until the nodes go.
func (m *mesh) enforced(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(contextFor(t, 20*time.Minute), "go", "install", policyController) // minutes on two cores, with nothing cached
	build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the policy controller: %v\n%s", err, out)
	}
	for _, cluster := range m.both() {
		node := m.name + "-" + cluster + "-control-plane"
		config, err := clientcmd.LoadFromFile(filepath.Join(m.state, m.name, "kubeconfig", cluster))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range config.Clusters {
			c.Server = "https://127.0.0.1:6443" // as the node itself reaches it
		}
		file := filepath.Join(dir, cluster)
		if err := clientcmd.WriteToFile(*config, file); err != nil {
			t.Fatal(err)
		}
		within := func(ctx context.Context, args ...string) *exec.Cmd {
			pid := m.tool().output(t, "inspect", "--format", "{{.State.Pid}}", node)
			return exec.CommandContext(ctx, "nsenter", append([]string{"--net", "--target", pid}, args...)...)
		}
		if out, err := within(t.Context(), "sysctl", "-w", "net.bridge.bridge-nf-call-iptables=1").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		log, err := os.Create(filepath.Join(dir, cluster+".log"))
		if err != nil {
			t.Fatal(err)
		}
		controller := within(context.Background(), filepath.Join(dir, "kube-router"), "--run-firewall", "--run-router=false", "--run-service-proxy=false",
			"--kubeconfig", file, "--hostname-override", node, "--iptables-sync-period", "5s", "--health-port", "0", "--metrics-port", "0")
		controller.Stdout, controller.Stderr = log, log
		if err := controller.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = controller.Process.Kill()
			_ = controller.Wait()
			if t.Failed() {
				if text, err := os.ReadFile(log.Name()); err == nil {
					t.Logf("the policy controller of %s:\n%s", cluster, text)
				}
			}
		})
		waitUntil(t, m.client(cluster), "policies to be enforced", func() (bool, string, error) {
			out, err := within(t.Context(), "iptables", "-S", "KUBE-ROUTER-FORWARD").CombinedOutput()
			return err == nil, string(out), nil
		})
	}
}
