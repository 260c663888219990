// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// TrustedRoots reads which roots a cluster's control plane is told to trust: those of its
// cacerts, in file order, or none when there is no secret. It looks once.
func TrustedRoots(ctx context.Context, c *kube.Client) ([]*x509.Certificate, error) {
	secret, err := readCACerts(ctx, c)
	if err != nil || secret == nil {
		return nil, err
	}
	found, err := certs.ParseCACerts(secret.Data)
	if err != nil {
		return nil, diag.Op(diag.Hint(fmt.Errorf("secret %s/%s is not valid: %w", topology.SystemNamespace, topology.CACertsSecret, err), removal(c)), c.Cluster, "looking at cacerts")
	}
	roots, err := found.RootCertificates()
	return roots, diag.Op(err, c.Cluster, "looking at cacerts")
}

// RootsAgree says whether clusters that were read can be one mesh: each that trusts any
// root must trust ours, or, when ours is nil because it has not been made, all must share
// one. The error names every cluster that differs with both fingerprints. It is pure.
func RootsAgree(ours *x509.Certificate, found map[string][]*x509.Certificate) error {
	reference := "the topology"
	names := slices.Sorted(maps.Keys(found))
	var errs []error
	for _, name := range names {
		roots := found[name]
		switch {
		case len(roots) == 0:
			continue
		case ours == nil:
			ours, reference = roots[0], name
			continue
		case slices.ContainsFunc(roots, ours.Equal):
			continue
		}
		errs = append(errs, fmt.Errorf("the root of %s differs from that of %s: %s and %s", name, reference, fingerprints(roots), certs.Fingerprint(ours)))
	}
	return errors.Join(errs...)
}

func fingerprints(roots []*x509.Certificate) string {
	all := make([]string, len(roots))
	for i, root := range roots {
		all[i] = certs.Fingerprint(root)
	}
	return strings.Join(all, ", ")
}

// LookAtRoots is RootsAgree for live clusters, before anything is changed: an error when
// they can not be one mesh, otherwise no change ever. Clusters that do not exist yet are
// left out by the caller. Root is as in CACerts.
func LookAtRoots(ctx context.Context, clients []*kube.Client, root func() (*certs.Root, error)) (graph.Change, error) {
	read, errs := make([][]*x509.Certificate, len(clients)), make([]error, len(clients))
	var group errgroup.Group
	group.SetLimit(readsAtOnce)
	for i, c := range clients {
		group.Go(func() error {
			read[i], errs[i] = TrustedRoots(ctx, c)
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	found := map[string][]*x509.Certificate{}
	hints := map[string]string{}
	for i, c := range clients {
		found[c.Cluster], hints[c.Cluster] = read[i], removal(c)
	}
	if err := errors.Join(errs...); err != nil {
		return graph.Change{}, err
	}
	var ours *x509.Certificate
	if own, err := root(); err == nil {
		ours = own.Certificate
	}
	err := RootsAgree(ours, found)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err != nil && len(found[name]) > 0 && (ours == nil || !slices.ContainsFunc(found[name], ours.Equal)) {
			err = diag.Hint(err, name+": "+hints[name])
		}
	}
	return graph.Change{Action: graph.None}, err
}
