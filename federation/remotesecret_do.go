// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/topology"
)

// How often and how long a new token is tried.
const (
	tryInterval = 100 * time.Millisecond
	// The rights of Istio's reader come with the peer's istiod chart, later than its account.
	tryDeadline = 2 * time.Minute
)

// Do writes the Secret. A token that is still good is kept; else Of is asked for one, and the
// new one is tried before istiod gets it. Idempotent; blocks for a few requests.
func (r RemoteSecret) Do(ctx context.Context, _ graph.Change) error {
	if err := r.do(ctx); err != nil {
		return fmt.Errorf("applying %s: %w", r.pair(), err)
	}
	return nil
}

func (r RemoteSecret) do(ctx context.Context) error {
	f, err := r.inspect(ctx)
	if err != nil {
		return err
	}
	if err := r.renew(ctx, &f); err != nil {
		return err
	}
	secret, err := r.object(f.want, f.expires)
	if err != nil {
		return err
	}
	if err := r.In.Apply(ctx, secret); err != nil {
		return err
	}
	return r.dropForeign(ctx, f.foreign)
}

// renew puts a token into what is wanted: the one that is there while it is good, else a new one.
func (r RemoteSecret) renew(ctx context.Context, f *found) (err error) {
	if err := r.requireAccount(ctx); err != nil {
		return err
	}
	f.want.Token = f.token
	if f.token == "" {
		graph.State(ctx, "asking %s for a token", r.Peer)
		f.want.Token, f.expires, err = r.grant(ctx)
	}
	return err
}

// grant makes a token of Of for In, tries it, and says when it ends.
func (r RemoteSecret) grant(ctx context.Context) (token, expires string, err error) {
	asking := "requesting a token of " + r.accountName()
	uid, err := r.bind(ctx)
	if err != nil {
		return "", "", err
	}
	seconds := int64(r.Lifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{
			APIVersion: "v1", Kind: "Secret", Name: BindingName(r.In.Cluster), UID: uid},
	}}
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: r.accountName(), Namespace: topology.SystemNamespace}}
	if err := r.Of.SubResource("token").Create(ctx, sa, request); err != nil {
		return "", "", r.Of.Explain(err, asking)
	}
	c, err := parseToken(request.Status.Token)
	if err != nil {
		return "", "", r.Of.Explain(err, asking)
	}
	end := c.expiry()
	if end.IsZero() {
		return "", "", r.Of.Explain(errors.New("the granted token never expires"), asking)
	}
	if granted := end.Sub(r.now()); granted < r.Lifetime*9/10 {
		graph.State(ctx, "%s grants %s of the %s asked for", r.Peer, round(granted), r.Lifetime)
	}
	if err := r.tryNew(ctx, request.Status.Token); err != nil {
		return "", "", err
	}
	return request.Status.Token, end.Format(time.RFC3339), nil
}

// tryNew waits until a new token is good: an API server learns of new roles a moment after
// they are written.
func (r RemoteSecret) tryNew(ctx context.Context, token string) error {
	err := poll.Until(ctx, poll.Options{What: r.Peer + " to take a new token of " + r.accountName(), Interval: tryInterval, Deadline: tryDeadline},
		func(ctx context.Context) (bool, string, error) {
			reason, err := r.try(ctx, token)
			return err == nil && reason == "", reason, err
		})
	if err != nil && ctx.Err() == nil {
		err = diag.Hint(err, "what the account may do: "+
			r.Of.Kubectl("auth can-i --list --as "+r.subject()))
	}
	return err
}

// bind makes the Secret that tokens for In are bound to, and returns its UID. One that
// exists is kept: making it anew would revoke the token that istiod uses right now.
func (r RemoteSecret) bind(ctx context.Context) (types.UID, error) {
	want := r.binding()
	if err := r.Of.Apply(ctx, want); err != nil {
		return "", err
	}
	var live corev1.Secret
	if err := r.Of.Get(ctx, client.ObjectKeyFromObject(want), &live); err != nil {
		return "", r.Of.Explain(err, "reading Secret "+want.Name)
	}
	if live.DeletionTimestamp != nil {
		return "", r.Of.Explain(errors.New("it is being deleted"), "binding a token to Secret "+want.Name)
	}
	return live.UID, nil
}

// dropForeign takes keys out of the Secret that are not for Peer.
func (r RemoteSecret) dropForeign(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	data := map[string]any{}
	for _, key := range keys {
		data[key] = nil
	}
	patch, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return err
	}
	target := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: topology.RemoteSecretName(r.Peer), Namespace: topology.SystemNamespace}}
	err = r.In.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(topology.FieldManager))
	return r.In.Explain(err, "taking other clusters out of Secret "+target.Name)
}
