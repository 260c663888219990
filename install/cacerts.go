// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// expiresSoon is how long before its end an intermediate is mentioned.
const expiresSoon = 30 * 24 * time.Hour

// CACerts is the certificate authority of a control plane: the secret cacerts in
// istio-system, one intermediate under the topology's root.
//
// An existing secret is never replaced. One that is invalid, or under another root, is an
// error that names what was found; the user decides, removes it, and runs `up` again.
type CACerts struct {
	Mesh
	// Root is the topology's root and its key; an error that wraps fs.ErrNotExist means
	// that it has not been made yet.
	Root func() (*certs.Root, error)
	// RootFile says in messages where Root comes from.
	RootFile string
	// Now is the time of checks and of what is issued; nil means the wall clock.
	Now func() time.Time
}

func (a CACerts) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}

// Look says create when the secret is absent, update when istiod or a gateway still runs
// with what was there before it or istiod gives out another root, and none otherwise, with a
// reason when the intermediate expires within 30 days. It never shows a key.
func (a CACerts) Look(ctx context.Context, c *kube.Client) (graph.Change, error) {
	secret, err := readCACerts(ctx, c)
	if err != nil {
		return graph.Change{}, err
	}
	if secret == nil {
		return a.absent(c.Cluster)
	}
	found, err := a.accept(c, secret)
	if err != nil {
		return graph.Change{}, diag.Op(err, c.Cluster, "looking at cacerts")
	}
	root, err := found.RootCertificate()
	if err != nil {
		return graph.Change{}, diag.Op(err, c.Cluster, "looking at cacerts")
	}
	late, reason, err := a.outdated(ctx, c, secret.CreationTimestamp, root)
	if err != nil {
		return graph.Change{}, err
	}
	if len(late) > 0 {
		return graph.Change{Action: graph.Update, Reason: reason}, nil
	}
	intermediate, err := found.Intermediate()
	if err != nil {
		return graph.Change{}, diag.Op(err, c.Cluster, "looking at cacerts")
	}
	change := graph.Change{Action: graph.None}
	wanted := a.Topology.Spec.Certificates.Intermediate.Algorithm
	if has := certs.AlgorithmOf(intermediate.PublicKey); wanted != "" && has != wanted {
		change.Reason = fmt.Sprintf("the intermediate has an %s key and the file says %s: what signs a live mesh is not changed; rotation is not built yet", has, wanted)
	}
	if left := intermediate.NotAfter.Sub(a.now()); left < expiresSoon {
		change.Reason = fmt.Sprintf("the intermediate expires in %d days, on %s", int(left.Hours()/24), intermediate.NotAfter.UTC().Format(time.DateOnly))
	}
	return change, nil
}

func (a CACerts) absent(cluster string) (graph.Change, error) {
	root, err := a.Root()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return graph.Change{Action: graph.Create, Reason: "no intermediate yet, nor a root to sign it"}, nil
	case err != nil:
		return graph.Change{}, fmt.Errorf("reading the root: %w", err)
	}
	if err := a.Outlives(cluster, root); err != nil {
		return graph.Change{}, err
	}
	return graph.Change{
		Action: graph.Create, Reason: "no intermediate yet",
		Fields: []graph.FieldChange{{Path: "root", New: certs.Fingerprint(root.Certificate)}},
	}, nil
}

// Outlives is why no intermediate can be issued for a cluster now: it would end after the root.
// Nil where it would not. It is the one judgement of this, before anything is made and after.
func (a CACerts) Outlives(cluster string, root *certs.Root) error {
	lifetime := a.Topology.Spec.Certificates.Intermediate.Lifetime
	if !root.EndsBefore(a.now().Add(time.Duration(lifetime))) {
		return nil
	}
	return diag.Hint(fmt.Errorf("an intermediate for %s would live %s, and the root in %s ends on %s",
		cluster, lifetime, a.RootFile, root.Certificate.NotAfter.UTC().Format(time.DateOnly)),
		"write a shorter spec.certificates.intermediate.lifetime")
}

// Do issues an intermediate and writes the secret if there is none, then restarts istiod
// and the gateways if they started before it, one after the other, waiting for each.
// Workloads of others are only counted.
func (a CACerts) Do(ctx context.Context, c *kube.Client, _ graph.Change) error {
	secret, err := readCACerts(ctx, c)
	if err != nil {
		return err
	}
	if secret == nil {
		if secret, err = a.issue(ctx, c); err != nil {
			return diag.Op(err, c.Cluster, "issuing cacerts")
		}
	}
	found, err := a.accept(c, secret)
	if err != nil {
		return diag.Op(err, c.Cluster, "looking at cacerts")
	}
	root, err := found.RootCertificate()
	if err != nil {
		return diag.Op(err, c.Cluster, "looking at cacerts")
	}
	return a.renew(ctx, c, secret.CreationTimestamp, root)
}

// Remove deletes the secret if it is ours.
func (a CACerts) Remove(ctx context.Context, c *kube.Client) error {
	secret, err := readCACerts(ctx, c)
	if err != nil || secret == nil || !owned(secret, a.Mesh) {
		return err
	}
	return c.Remove(ctx, secret)
}

// issue makes an intermediate and applies the secret; it returns the secret as stored.
func (a CACerts) issue(ctx context.Context, c *kube.Client) (*corev1.Secret, error) {
	root, err := a.Root()
	if err != nil {
		return nil, fmt.Errorf("reading the root: %w", err)
	}
	wanted := a.Topology.Spec.Certificates.Intermediate
	issued, err := root.NewCACerts(certs.Options{
		CommonName:   a.commonName(c.Cluster),
		Organization: a.Topology.Spec.Mesh.ID,
		Algorithm:    wanted.Algorithm,
		Lifetime:     time.Duration(wanted.Lifetime),
		Now:          a.now(),
	})
	if err != nil {
		return nil, err
	}
	err = c.Apply(ctx, &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret, Labels: a.labels()},
		Type:       corev1.SecretTypeOpaque,
		Data:       issued.Data(),
	})
	if err != nil {
		return nil, err
	}
	secret, err := readCACerts(ctx, c)
	if err == nil && secret == nil {
		err = errors.New("the secret is gone again")
	}
	return secret, err
}

// commonName of a cluster's intermediate; X.509 allows 64 characters.
func (a CACerts) commonName(cluster string) string {
	if name := cluster + ".intermediate." + a.Topology.Spec.Mesh.ID; len(name) <= 64 {
		return name
	}
	return cluster + ".intermediate"
}

// accept checks a secret that is there: valid, and under the topology's root.
func (a CACerts) accept(c *kube.Client, secret *corev1.Secret) (*certs.CACerts, error) {
	found, err := certs.ParseCACerts(secret.Data)
	if err == nil {
		err = found.Check(a.now())
	}
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("secret %s/%s is not valid and istiod would not start with it: %w", topology.SystemNamespace, topology.CACertsSecret, err), removal(c))
	}
	roots, err := found.RootCertificates()
	if err != nil {
		return nil, err
	}
	ours, err := a.Root()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the root: %w", err)
	}
	if err != nil {
		return nil, diag.Hint(fmt.Errorf("secret %s/%s is under root %s, and there is no root in %s",
			topology.SystemNamespace, topology.CACertsSecret, certs.Fingerprint(roots[0]), a.RootFile),
			"put that root back, or: "+removal(c))
	}
	for _, root := range roots {
		if root.Equal(ours.Certificate) {
			return found, nil
		}
	}
	return nil, diag.Hint(fmt.Errorf("secret %s/%s is under another root than the topology's, and is not touched: found %s; ours, in %s, is %s",
		topology.SystemNamespace, topology.CACertsSecret, certs.Fingerprint(roots[0]), a.RootFile, certs.Fingerprint(ours.Certificate)), removal(c))
}

// removal is the command after which `up` issues a new intermediate.
func removal(c *kube.Client) string {
	where := ""
	if c.Kubeconfig != "" {
		where += " --kubeconfig " + c.Kubeconfig
	}
	if c.Context != "" {
		where += " --context " + c.Context
	}
	return fmt.Sprintf("to have a new one issued under the topology's root, remove it and run meshfed up again: kubectl%s -n %s delete secret %s",
		where, topology.SystemNamespace, topology.CACertsSecret)
}

// readCACerts is the secret cacerts, or nil.
func readCACerts(ctx context.Context, c *kube.Client) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret}, &secret)
	if kube.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.Explain(err, "reading secret "+topology.CACertsSecret)
	}
	return &secret, nil
}
