// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/federation"
	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// Status is what is there now, as `meshfed status` shows it.
type Status struct {
	Clusters      []ClusterStatus `json:"clusters"`
	Substitutions []string        `json:"substitutions"`
}

// ClusterStatus is one cluster as it is now.
type ClusterStatus struct {
	Name string `json:"name"`
	// State is "ready", or what is wrong in words.
	State string `json:"state"`
	// Kubernetes and Istio are versions that run; empty when not known.
	Kubernetes string `json:"kubernetes,omitempty"`
	Istio      string `json:"istio,omitempty"`
	// Primary is the cluster whose istiod serves this one; empty when that is its own.
	Primary string `json:"primary,omitempty"`
	// Network is Istio's.
	Network string `json:"network"`
	// EastWest is the gateway's address and port, empty without one.
	EastWest string `json:"eastWest,omitempty"`
	// URLs of the ingress gateway that answered from this host.
	URLs []string `json:"urls,omitempty"`
	// Published are the addresses of this host that lead to the ingress gateway, whether or
	// not a Gateway listens behind them yet.
	Published []string `json:"published,omitempty"`
	// Notes say what has changed from outside, for example the address of a node.
	Notes []string `json:"notes,omitempty"`
	// Faults are disruptive faults of verify that are there: under way, or left by a run that was
	// killed. A cluster with one is not ready.
	Faults []string `json:"faults,omitempty"`
	// Credentials that the cluster holds.
	Credentials []Credential `json:"credentials"`
}

// Credential is something that ends.
type Credential struct {
	// Kind: "intermediate CA", "root CA", "remote secret" or, of an external control plane,
	// "istiod's kubeconfig".
	Kind string `json:"kind"`
	// Peer is the cluster that a remote secret or kubeconfig is for.
	Peer string `json:"peer,omitempty"`
	// Expires in UTC; zero, and left out, when it is not known.
	Expires time.Time `json:"expires,omitzero"`
	// Soon says that it needs attention: less than a third of its lifetime is left, or it
	// never ends, or is not what it should be.
	Soon bool `json:"soon"`
	// Renewal says who renews it.
	Renewal string `json:"renewal"`
	// Note is a warning in words.
	Note string `json:"note,omitempty"`
}

// Healthy says that every cluster is ready and no credential ends soon.
func (s Status) Healthy() bool {
	for _, c := range s.Clusters {
		if c.State != "ready" {
			return false
		}
		for _, k := range c.Credentials {
			if k.Soon {
				return false
			}
		}
	}
	return true
}

// Status looks at every selected cluster. A cluster that can not be read is part of the
// answer, not an error.
func (m *Mesh) Status(ctx context.Context) (Status, error) {
	var s Status
	for _, name := range m.Selected() {
		c, err := m.StatusOf(ctx, name)
		if err != nil && ctx.Err() != nil {
			return s, ctx.Err()
		}
		found, looked := m.engineSays(ctx, name)
		if looked == nil {
			c.Notes = found.Notes
		}
		switch {
		case err == nil && looked == nil:
			c.judge(found)
		case err == nil:
		case errors.Is(err, ErrNoCluster):
			c.State = string(cluster.Absent)
		case looked == nil && found.State != cluster.Ready:
			// What the container engine says explains more than an API that does not answer.
			c.State = fmt.Sprintf("%s: %s", found.State, found.Reason)
		default:
			c.State = err.Error()
		}
		s.Clusters = append(s.Clusters, c)
	}
	s.Substitutions = m.Substituted(ctx)
	return s, nil
}

// engineSays is what the container engine knows of a cluster; of the user's own it knows nothing.
func (m *Mesh) engineSays(ctx context.Context, name string) (cluster.Status, error) {
	if m.existing(name) {
		return cluster.Status{State: cluster.Ready}, nil
	}
	return m.Provider.Look(ctx, m.kindSpec(name))
}

// judge adds what the container engine knows of a cluster whose API answers: its pods may not
// reach each other all the same.
func (c *ClusterStatus) judge(found cluster.Status) {
	switch found.State {
	case cluster.Ready, cluster.Absent:
	case cluster.Different:
		c.Notes = append(slices.Clone(c.Notes), "it was made otherwise than the file says now: "+found.Reason)
	default:
		c.State = fmt.Sprintf("%s: %s", found.State, found.Reason)
	}
}

// StatusOf looks at one cluster.
func (m *Mesh) StatusOf(ctx context.Context, name string) (ClusterStatus, error) {
	declared := m.Topology.Cluster(name)
	s := ClusterStatus{Name: name, Credentials: []Credential{}}
	if declared.IsMember() {
		s.Network = declared.Network
	}
	if !declared.IsPrimary() {
		s.Primary = declared.Primary
	}
	c, err := m.Client(ctx, name)
	if err != nil {
		return s, err
	}
	if s.Kubernetes, err = c.Version(ctx); err != nil {
		return s, err
	}
	if s.State, err = m.meshState(ctx, c, declared); err != nil {
		return s, err
	}
	var istiod appsv1.Deployment
	if err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: m.Topology.IstiodName()}, &istiod); err == nil {
		s.Istio = istiod.Labels["app.kubernetes.io/version"]
	}
	if address, _, err := install.Address(ctx, c, topology.EastWestGateway); err == nil && address != "" && m.Topology.CrossesNetworks(name) {
		s.EastWest = net.JoinHostPort(address, strconv.Itoa(topology.PortCrossNetwork))
	}
	if s.Published, err = m.published(ctx, declared); err != nil {
		return s, err
	}
	s.URLs = ingressURLs(ctx, c, declared, s.Published)
	if s.Credentials, err = credentials(ctx, c); err != nil {
		return s, err
	}
	found, err := verify.Faults(ctx, c)
	for _, f := range found {
		s.Faults = append(s.Faults, f.Told())
		s.State = "a disruptive fault of verify is there"
	}
	return s, err
}

// meshState is "ready", or the first thing that is not.
func (m *Mesh) meshState(ctx context.Context, c *kube.Client, declared *topology.Cluster) (string, error) {
	if ready, state, err := nodesReady(ctx, c); err != nil || !ready {
		return state, err
	}
	in := m.install()
	var wanted []string // Deployments of ours
	var looked []looker // everything else
	deployment := func(ours bool, name string, others looker) {
		if ours {
			wanted = append(wanted, name)
		} else {
			looked = append(looked, others) // its Deployment is called as whoever owns it likes
		}
	}
	if declared.IsPrimary() {
		deployment(declared.Manage.Istio, m.istiodService(), install.OthersIstio{Mesh: in})
	} else {
		looked = append(looked, install.Injection{Mesh: in})
	}
	if m.Topology.HasEastWestGateway(declared.Name) {
		deployment(declared.Manage.Gateways, topology.EastWestGateway, eastWest(in))
	}
	if declared.Ingress != nil {
		deployment(declared.Manage.Gateways, topology.IngressGateway, ingress(in))
	}
	if m.Topology.ExposesServices(declared.Name) {
		if declared.Manage.Gateways {
			looked = append(looked, m.exposure(declared.Name))
		} else {
			looked = append(looked, federation.Exposed{})
		}
	}
	if m.Topology.ServesThroughGateway(declared.Name) {
		looked = append(looked, m.istiodExposure())
	}
	for _, name := range wanted {
		ready, state, err := c.DeploymentState(ctx, topology.SystemNamespace, name)
		if err != nil || !ready {
			return name + ": " + state, err
		}
	}
	for _, l := range looked {
		if change, err := l.Look(ctx, c); err != nil || change.Needed() {
			return change.Reason, err
		}
	}
	var secrets []string
	if declared.IsPrimary() {
		secrets = append(secrets, topology.CACertsSecret)
	}
	if declared.IsExternal() {
		secrets = append(secrets, topology.IstiodKubeconfigSecret)
	}
	for _, peer := range m.Topology.Peers(declared.Name) {
		if !declared.Manage.RemoteSecrets {
			break // they are called as whoever writes them likes
		}
		secrets = append(secrets, topology.RemoteSecretName(peer))
	}
	for _, name := range secrets {
		err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: name}, &corev1.Secret{})
		if kube.Absent(err) {
			return "secret " + name + " is missing", nil
		}
		if err != nil {
			return "", c.Explain(err, "reading secret "+name)
		}
	}
	return "ready", nil
}

// published lists the loopback addresses that lead to the cluster's ingress gateway over HTTP.
func (m *Mesh) published(ctx context.Context, declared *topology.Cluster) ([]string, error) {
	if declared.Ingress == nil || declared.Ingress.HostPorts.HTTP == 0 || declared.IsExisting() {
		return nil, nil
	}
	ports, err := m.Provider.Ports(ctx, m.Topology.KindName(declared.Name))
	if err != nil {
		return nil, err
	}
	port, ok := ports[topology.IngressHTTPNodePort]
	if !ok {
		return nil, nil
	}
	return []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}, nil
}

// ingressURLs tries the ingress gateway from this host and returns what answered; any HTTP
// answer counts, for without routes it is 404.
func ingressURLs(ctx context.Context, c *kube.Client, declared *topology.Cluster, published []string) []string {
	if declared.Ingress == nil {
		return nil
	}
	tried := slices.Clone(published)
	if address, _, err := install.Address(ctx, c, topology.IngressGateway); err == nil && address != "" {
		tried = append(tried, address)
	}
	var working []string
	for _, address := range tried {
		if url := "http://" + address; answers(ctx, url) {
			working = append(working, url)
		}
	}
	return working
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return false
	}
	// Without the proxy of the environment, whose own error page would count as an answer.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil
}

// credentials lists what a cluster holds that ends.
func credentials(ctx context.Context, c *kube.Client) ([]Credential, error) {
	held := []Credential{}
	var secret corev1.Secret
	err := c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.CACertsSecret}, &secret)
	if err != nil && !kube.Absent(err) {
		return nil, c.Explain(err, "reading cacerts")
	}
	for _, part := range []struct{ kind, key string }{{"intermediate CA", "ca-cert.pem"}, {"root CA", "root-cert.pem"}} {
		parsed, err := certs.ParseCertificates(secret.Data[part.key])
		if err != nil || len(parsed) == 0 {
			continue // absent, or broken: trust is verify's business
		}
		held = append(held, expiring(Credential{Kind: part.kind, Expires: parsed[0].NotAfter, Renewal: "you: rotation is not built yet"},
			parsed[0].NotBefore))
	}
	var secrets corev1.SecretList
	if err := c.List(ctx, &secrets, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{topology.LabelMultiCluster: "true"}); err != nil {
		return nil, c.Explain(err, "listing remote secrets")
	}
	var kubeconfig corev1.Secret
	err = c.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.IstiodKubeconfigSecret}, &kubeconfig)
	if err != nil && !kube.Absent(err) {
		return nil, c.Explain(err, "reading secret "+topology.IstiodKubeconfigSecret)
	}
	if err == nil {
		secrets.Items = append(secrets.Items, kubeconfig)
	}
	for i := range secrets.Items {
		s := &secrets.Items[i]
		k := Credential{Kind: "remote secret", Peer: s.Annotations[topology.AnnotationCluster], Renewal: "`meshfed up`"}
		if s.Name == topology.IstiodKubeconfigSecret {
			k.Kind = "istiod's kubeconfig"
		}
		granted, ends, err := federation.TokenLife(s)
		k.Expires = ends
		switch {
		case err != nil:
			k.Soon, k.Note = true, "unusable: "+err.Error()
		case ends.IsZero():
			k.Soon, k.Note = true, "its token never ends"
		default:
			k = expiring(k, granted)
		}
		held = append(held, k)
	}
	return held, nil
}

// expiring marks what has less than a third of its lifetime left.
func expiring(k Credential, from time.Time) Credential {
	left, whole := k.Expires.Sub(now()), k.Expires.Sub(from)
	switch {
	case left <= 0:
		k.Soon, k.Note = true, "EXPIRED"
	case left < whole/3:
		k.Soon, k.Note = true, fmt.Sprintf("less than a third of its lifetime is left: %s", left.Round(time.Hour))
	}
	return k
}
