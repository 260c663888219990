// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// RemoteSecret is the Secret in one cluster by which its istiod reads another cluster. Its
// token ends by itself and is bound to a Secret in the other cluster: deleting that Secret
// revokes it.
type RemoteSecret struct {
	// In holds the Secret; Of is the cluster that is read with it.
	In, Of *kube.Client
	// Peer is Of's name in the mesh, Istio's clusterName.
	Peer string
	// Server is where pods of In reach Of's API: an https URL or host:port.
	Server string
	// OwnCA says that Server is not the one of Of's kubeconfig; see Authority.
	OwnCA bool
	// Lifetime is asked for; Of may grant less. At least 10 minutes, by Kubernetes' rule.
	Lifetime time.Duration
	// Labels mark what is made as ours.
	Labels map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// account is whose tokens they are; "" means topology.ReaderServiceAccount. key is where in
	// the Secret they stand; "" means Peer.
	account, key string
}

// accountName is whose tokens they are, and subject how a token names it.
func (r RemoteSecret) accountName() string {
	if r.account == "" {
		return topology.ReaderServiceAccount
	}
	return r.account
}

func (r RemoteSecret) subject() string {
	return "system:serviceaccount:" + topology.SystemNamespace + ":" + r.accountName()
}

// at is the path of the data that holds the token.
func (r RemoteSecret) at() string {
	if r.key == "" {
		return "data." + r.Peer
	}
	return "data." + r.key
}

// BindingName is the Secret in a cluster whose deletion revokes what the named cluster reads
// it with.
func BindingName(in string) string { return "meshfed-remote-" + in }

// found is what a look at a remote secret sees. It holds a token and must not be printed.
type found struct {
	exists  bool
	fields  []graph.FieldChange
	reasons []string
	// token is there when it need not be replaced.
	token string
	// foreign are further keys of the Secret, each of them another cluster to istiod.
	foreign []string
	want    access
	expires string
}

// Look says create when the Secret is not there, update with the fields that differ or when
// the token is about to end or Of does not take it, or none. Two Secrets for one cluster are
// an error: istiod would use either. Look reads both clusters and tries the token at Of.
func (r RemoteSecret) Look(ctx context.Context) (graph.Change, error) {
	f, err := r.inspect(ctx)
	switch {
	case err != nil:
		return graph.Change{Action: graph.Unknown}, fmt.Errorf("reading remote secret for %s in %s: %w", r.Peer, r.In.Cluster, err)
	case !f.exists:
		return graph.Change{Action: graph.Create, Reason: "istiod of " + r.In.Cluster + " has no credentials for " + r.Peer}, nil
	case len(f.fields) > 0 || len(f.reasons) > 0:
		return graph.Change{Action: graph.Update, Reason: strings.Join(f.reasons, ", "), Fields: f.fields}, nil
	}
	return graph.Change{Action: graph.None, Reason: "token until " + f.expires}, nil
}

// inspect looks at everything that Look reports and Do needs.
func (r RemoteSecret) inspect(ctx context.Context) (found, error) {
	server, err := ServerURL(r.Server)
	if err != nil {
		return found{}, err
	}
	secret, err := r.secret(ctx)
	if err != nil {
		return found{}, err
	}
	var f found
	ca, err := Authority(ctx, r.Of, r.OwnCA)
	if err != nil {
		return found{}, err
	}
	f.want = access{Cluster: r.Peer, Server: server, CA: ca}
	if secret == nil {
		return f, nil
	}
	f.exists = true
	f.fields = r.labelsDiffer(secret)
	for _, key := range sorted(secret.Data) {
		if key != r.Peer {
			f.foreign = append(f.foreign, key)
			f.fields = append(f.fields, graph.FieldChange{Path: "data." + key, Old: "(another cluster)"})
		}
	}
	have, err := parseAccess(secret.Data[r.Peer])
	if err != nil {
		f.reasons = append(f.reasons, r.at()+" is "+err.Error())
		return f, nil
	}
	f.fields = append(f.fields, f.want.differs(have)...)
	return f, r.judge(ctx, &f, have.Token, secret.Annotations[topology.AnnotationExpires])
}

// judge says in f whether the token may stay.
func (r RemoteSecret) judge(ctx context.Context, f *found, token, recorded string) error {
	c, err := parseToken(token)
	if err != nil {
		f.reasons = append(f.reasons, r.at()+" holds "+err.Error())
		return nil
	}
	if c.Subject != r.subject() {
		f.fields = append(f.fields, graph.FieldChange{Path: "token.account", Old: c.Subject, New: r.subject()})
		return nil
	}
	if reason := c.stale(r.now()); reason != "" {
		f.reasons = append(f.reasons, reason)
		return nil
	}
	// The API server remembers for ten seconds that a token was good, whatever became of it
	// (TokenSuccessCacheTTL, pkg/kubeapiserver/options in k8s.io/kubernetes).
	if reason, err := r.revoked(ctx, c); err != nil || reason != "" {
		if reason != "" {
			f.reasons = append(f.reasons, reason)
		}
		return err
	}
	if reason, err := r.try(ctx, token); err != nil || reason != "" {
		if reason != "" {
			f.reasons = append(f.reasons, reason)
		}
		return err
	}
	f.token, f.expires = token, c.expiry().Format(time.RFC3339)
	if recorded != f.expires {
		f.fields = append(f.fields, graph.FieldChange{
			Path: "metadata.annotations." + topology.AnnotationExpires, Old: recorded, New: f.expires})
	}
	return nil
}

// revoked says that what a token is bound to is gone from Of, "" when it is there.
func (r RemoteSecret) revoked(ctx context.Context, c claims) (reason string, err error) {
	bound := c.Kubernetes.Secret
	if bound == nil {
		return "", nil
	}
	var secret corev1.Secret
	err = r.Of.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: bound.Name}, &secret)
	switch {
	case kube.Absent(err) || err == nil && string(secret.UID) != bound.UID:
		return "the token was revoked: Secret " + bound.Name + " of " + r.Peer + ", to which it was bound, is gone", nil
	case err != nil:
		return "", r.Of.Explain(err, "reading Secret "+topology.SystemNamespace+"/"+bound.Name)
	}
	return "", nil
}

// try uses a token at Of the way istiod does; a reason says why it is no good.
func (r RemoteSecret) try(ctx context.Context, token string) (reason string, err error) {
	status, err := r.Of.StatusAs(ctx, token, "/api/v1/services?limit=1")
	switch {
	case err != nil:
		return "", err
	case status == 401:
		return r.Peer + " does not accept the token: it was revoked, or " + r.Peer + " was made again", nil
	case status == 403:
		return "the token's account may not read services in " + r.Peer, nil
	case status != 200:
		return "", r.Of.Explain(fmt.Errorf("the API server answers %d", status), "trying the token of "+r.In.Cluster)
	}
	return "", nil
}

// secret reads the Secret, or nil, and makes sure that no other one is for the same cluster.
func (r RemoteSecret) secret(ctx context.Context) (*corev1.Secret, error) {
	var list corev1.SecretList
	err := r.In.List(ctx, &list, client.InNamespace(topology.SystemNamespace), client.MatchingLabels{topology.LabelMultiCluster: "true"})
	if err != nil {
		return nil, r.In.Explain(err, "listing remote secrets")
	}
	name := topology.RemoteSecretName(r.Peer)
	var others []string
	for i := range list.Items {
		s := &list.Items[i]
		if _, claims := s.Data[r.Peer]; claims && s.Name != name {
			others = append(others, s.Name)
		}
	}
	if len(others) > 0 {
		return nil, r.rivals(others)
	}
	// By name and not from the list: it may lack the very label.
	var own corev1.Secret
	err = r.In.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: name}, &own)
	if kube.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, r.In.Explain(err, "reading Secret "+topology.SystemNamespace+"/"+name)
	}
	return &own, nil
}

// DuplicateError says that several Secrets claim one cluster; istiod uses the first it sees.
type DuplicateError struct {
	// In is the cluster that holds the Secrets, Peer the cluster that they claim.
	In, Peer string
	// Secrets are the names of those that are not ours, in topology.SystemNamespace.
	Secrets []string
}

// Error implements error.
func (e *DuplicateError) Error() string {
	return fmt.Sprintf("cluster %s is also claimed in %s by Secret %s", e.Peer, e.In, strings.Join(e.Secrets, ", "))
}

func (r RemoteSecret) rivals(names []string) error {
	slices.Sort(names)
	return diag.Hint(&DuplicateError{In: r.In.Cluster, Peer: r.Peer, Secrets: names},
		"delete what is not wanted: "+r.In.Kubectl("-n "+topology.SystemNamespace+" delete secret "+strings.Join(names, " ")))
}

func (r RemoteSecret) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}
