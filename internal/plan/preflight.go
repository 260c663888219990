// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// preflightExisting finds all that stands against the user's own clusters becoming what the file
// says, in all of them at once, before anything is changed anywhere.
func (m *Mesh) preflightExisting(ctx context.Context) error {
	if err := m.refuseUnplaced(); err != nil {
		return err
	}
	for _, name := range m.made() {
		if err := m.sameAsBefore(ctx, name); err != nil {
			return err
		}
	}
	own := m.selectedExisting()
	if len(own) == 0 {
		return nil
	}
	errs := make([]error, len(own))
	var work sync.WaitGroup
	for i, name := range own {
		work.Go(func() { errs[i] = m.fits(ctx, name) })
	}
	work.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := m.oneName(ctx, own); err != nil {
		return err
	}
	_, err := (rootsAgree{m}).Look(ctx)
	return err
}

func (m *Mesh) selectedExisting() []string {
	var own []string
	for _, name := range m.Selected() {
		if m.existing(name) {
			own = append(own, name)
		}
	}
	return own
}

// fits looks at one cluster of the user's own.
func (m *Mesh) fits(ctx context.Context, name string) error {
	c, err := m.Client(ctx, name)
	if err != nil {
		return err
	}
	found, err := install.Describe(ctx, name, c)
	if err != nil {
		return err
	}
	problems := found.Fits(m.Topology, m.Owner)
	if !m.onlyChecked(name) {
		problems = append(problems, m.mayNot(ctx, c)...)
	}
	if err := m.sameAsBefore(ctx, name); err != nil {
		problems = append(problems, err)
	}
	if m.isRead(name) {
		if err := m.peersReach(ctx, name, c); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) == 0 {
		problems = m.missing(ctx, name, c)
	}
	for i := range problems {
		problems[i] = diag.Op(problems[i], name, "looking whether it fits")
	}
	return errors.Join(problems...)
}

// isRead says whether another cluster's istiod is given credentials by which it reads the named
// one. Those that somebody else writes are good or not when istiod has synced.
func (m *Mesh) isRead(name string) bool {
	for _, primary := range m.Topology.Primaries() {
		if m.Topology.Cluster(primary).Manage.RemoteSecrets && contains(m.Topology.Peers(primary), name) {
			return true
		}
	}
	return false
}

// permission is something that up and down need of whoever owns the kubeconfig, where a layer is
// managed; nil for anywhere that anything is written.
type permission struct {
	authorizationv1.ResourceAttributes
	layer func(*topology.Cluster) bool
}

// permissions are one for each kind of thing that is made; they bound the rest closely enough to be
// known before anything is made.
func permissions() []permission {
	istio := func(c *topology.Cluster) bool { return c.Manage.Istio }
	workloads := func(c *topology.Cluster) bool { return c.Manage.Istio || c.Manage.Gateways }
	charts := func(c *topology.Cluster) bool {
		return c.Manage.Istio || c.LoadBalancer.Type == topology.LoadBalancerMetalLB
	}
	return []permission{
		{authorizationv1.ResourceAttributes{Verb: "patch", Resource: "namespaces"}, nil},
		{authorizationv1.ResourceAttributes{Verb: "patch", Resource: "configmaps", Namespace: topology.OwnerNamespace}, nil},
		{authorizationv1.ResourceAttributes{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: topology.SystemNamespace}, workloads},
		{authorizationv1.ResourceAttributes{Verb: "create", Resource: "secrets", Namespace: topology.SystemNamespace}, nil},
		{authorizationv1.ResourceAttributes{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: topology.SystemNamespace}, nil},
		{authorizationv1.ResourceAttributes{Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: topology.SystemNamespace}, nil},
		{authorizationv1.ResourceAttributes{Verb: "patch", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}, charts},
		{authorizationv1.ResourceAttributes{Verb: "patch", Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}, charts},
		{authorizationv1.ResourceAttributes{Verb: "patch", Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"}, istio},
	}
}

// mayNot lists what the user's credentials do not allow, by asking the API server.
func (m *Mesh) mayNot(ctx context.Context, c *kube.Client) []error {
	var missing []string
	for _, p := range permissions() {
		if p.layer != nil && !p.layer(m.Topology.Cluster(c.Cluster)) {
			continue
		}
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &p.ResourceAttributes}}
		if err := c.Create(ctx, review); err != nil {
			return []error{c.Explain(err, "asking what the credentials allow")}
		}
		if !review.Status.Allowed {
			resource := p.Resource
			if p.Subresource != "" {
				resource += "/" + p.Subresource
			}
			missing = append(missing, strings.TrimSpace(p.Verb+" "+resource+" "+p.Namespace))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return []error{diag.Hint(fmt.Errorf("the credentials do not allow: %s", strings.Join(missing, "; ")), "what they allow: "+c.Kubectl("auth can-i --list"))}
}

// peersReach refuses an address of the API server that no peer can use, and tries it from this
// host. A peer's network is not this host's: what does not answer here is refused only where the
// answer is no mere silence of a name or network that this host does not have; else it is warned of.
func (m *Mesh) peersReach(ctx context.Context, name string, c *kube.Client) error {
	address, err := m.peerServer(ctx, name)
	if err != nil {
		return err
	}
	server, err := federation.ServerURL(address)
	if err != nil {
		return m.orNode(ctx, err, name, c.REST.Host)
	}
	u, err := url.Parse(server)
	if err != nil {
		return fmt.Errorf("reading the API server's address: %w", err)
	}
	ca, err := federation.Authority(ctx, c, m.ownCA(name))
	if err != nil {
		return err
	}
	answers, err := tryServer(ctx, u, ca)
	if err == nil && !answers {
		m.warn("the API server of %s does not answer this host at %s; whether the other clusters reach it there shows when they have synced", name, u.Host)
	}
	return err
}

// warn keeps what is doubtful.
func (m *Mesh) warn(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doubts = append(m.doubts, fmt.Sprintf(format, args...))
}

// Doubts are what Preflight could not find out and let pass.
func (m *Mesh) Doubts() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(slices.Values(m.doubts))
}

// tryServer makes one TLS connection. Silence is no error: it may be this host's alone.
func tryServer(ctx context.Context, u *url.URL, ca []byte) (answers bool, err error) {
	port := u.Port()
	if port == "" {
		port = "443"
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return false, errors.New("the API server's CA holds no certificate")
	}
	bounded, cancel := context.WithTimeout(ctx, seconds(5))
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(bounded, "tcp", net.JoinHostPort(u.Hostname(), port))
	var verify *tls.CertificateVerificationError
	switch {
	case err == nil:
		return true, connection.Close()
	case errors.As(err, &verify):
		return true, diag.Hint(fmt.Errorf("the API server at %s shows a certificate that its peers would not accept: %w", u.Host, verify.Err),
			"write an apiServer.peerAddress that is in the certificate of the API server")
	}
	return false, nil
}

// outlived refuses intermediates that would end after the root, for clusters that have none yet.
func (m *Mesh) outlived(ctx context.Context, made *certs.Root) error {
	issuer := m.caCerts(m.install())
	for _, name := range m.Selected() {
		refused := issuer.Outlives(name, made)
		if refused == nil || !m.signsFor(name) {
			continue
		}
		has, err := m.hasIntermediate(ctx, name)
		if err != nil {
			return err
		}
		if !has {
			return refused
		}
	}
	return nil
}

// hasIntermediate says whether a cluster has its intermediate, and keeps it. Of one that does not
// answer nothing else is known than that it is there: its own step says so.
func (m *Mesh) hasIntermediate(ctx context.Context, name string) (bool, error) {
	if !m.existing(name) {
		if toMake, err := m.toBeMade(ctx, name); err != nil || toMake {
			return false, err
		}
	}
	c, err := m.Client(ctx, name)
	if err != nil {
		return !errors.Is(err, ErrNoCluster), nil
	}
	roots, err := install.TrustedRoots(ctx, c)
	return len(roots) > 0, err
}

// signsFor says whether a cluster gets its intermediate from this program.
func (m *Mesh) signsFor(name string) bool {
	c := m.Topology.Cluster(name)
	return c.IsPrimary() && c.Manage.CACerts
}

// signs says whether any selected cluster does.
func (m *Mesh) signs() bool { return slices.ContainsFunc(m.Selected(), m.signsFor) }
