// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/topology"
)

// The keys of the Secret, and where Istio's chart mounts it (volume istio-kubeconfig in
// templates/deployment.yaml of the istiod chart).
const (
	configKey = "config"
	tokenKey  = "token"
	mounted   = "/var/run/secrets/remote/"
)

// IstiodKubeconfig is the Secret by which an external istiod reads its config cluster: the same
// bounded, revocable token as a RemoteSecret's, of an account with istiod's own rights. The
// kubeconfig names the token as a file, which istiod reads again every minute, so that a renewed
// one needs no restart.
type IstiodKubeconfig struct {
	// In is the cluster where istiod runs; Of is its config cluster.
	In, Of *kube.Client
	// Server is where pods of In reach Of's API: an https URL or host:port.
	Server string
	// Account is istiod's in Of, with its revision.
	Account string
	// Lifetime is asked for, at least 10 minutes; Of may grant less.
	Lifetime time.Duration
	// Labels mark what is made as ours.
	Labels map[string]string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// token is how tokens of Of are granted, tried and bound.
func (k IstiodKubeconfig) token() RemoteSecret {
	return RemoteSecret{In: k.In, Of: k.Of, Peer: k.Of.Cluster, Server: k.Server, Lifetime: k.Lifetime, Labels: k.Labels, Now: k.Now,
		account: k.Account, key: tokenKey}
}

// Look says create when the Secret is not there, update with what differs or why the token is
// no good, or none. It reads both clusters and tries the token at Of.
func (k IstiodKubeconfig) Look(ctx context.Context) (graph.Change, error) {
	f, _, err := k.inspect(ctx)
	switch {
	case err != nil:
		return graph.Change{Action: graph.Unknown}, fmt.Errorf("reading what istiod in %s reads %s with: %w", k.In.Cluster, k.Of.Cluster, err)
	case !f.exists:
		return graph.Change{Action: graph.Create, Reason: "istiod in " + k.In.Cluster + " has no credentials for " + k.Of.Cluster}, nil
	case len(f.fields) > 0 || len(f.reasons) > 0:
		return graph.Change{Action: graph.Update, Reason: strings.Join(f.reasons, ", "), Fields: f.fields}, nil
	}
	return graph.Change{Action: graph.None, Reason: "token until " + f.expires}, nil
}

// inspect looks at everything that Look reports and Do needs; blind says that a running istiod
// can not read the cluster until it starts again: it was told of another server, or its token is
// not taken any more. One that only ends soon is replaced in time by itself.
func (k IstiodKubeconfig) inspect(ctx context.Context) (f found, blind bool, err error) {
	server, err := ServerURL(k.Server)
	if err != nil {
		return f, false, err
	}
	ca, err := Authority(ctx, k.Of, false)
	if err != nil {
		return f, false, err
	}
	f.want = access{Cluster: k.Of.Cluster, Server: server, CA: ca}
	var secret corev1.Secret
	err = k.In.Get(ctx, client.ObjectKey{Namespace: topology.SystemNamespace, Name: topology.IstiodKubeconfigSecret}, &secret)
	if kube.Absent(err) {
		return f, false, nil
	}
	if err != nil {
		return f, false, k.In.Explain(err, "reading Secret "+topology.IstiodKubeconfigSecret)
	}
	f.exists = true
	for _, key := range sorted(k.Labels) {
		if secret.Labels[key] != k.Labels[key] {
			f.fields = append(f.fields, graph.FieldChange{Path: "metadata.labels." + key, Old: secret.Labels[key], New: k.Labels[key]})
		}
	}
	want, err := k.config(f.want)
	if err != nil {
		return f, false, err
	}
	if blind = !bytes.Equal(secret.Data[configKey], want); blind {
		f.fields = append(f.fields, graph.FieldChange{Path: "data." + configKey, Old: digest(secret.Data[configKey]), New: digest(want)})
		f.reasons = append(f.reasons, k.Of.Cluster+" is to be read at "+server)
	}
	token := string(secret.Data[tokenKey])
	err = k.token().judge(ctx, &f, token, secret.Annotations[topology.AnnotationExpires])
	if err == nil && f.token == "" && !blind {
		refused, tried := k.token().try(ctx, token)
		blind, err = refused != "", tried
	}
	return f, blind, err
}

// config is the kubeconfig, which holds no token.
func (k IstiodKubeconfig) config(a access) ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{a.Cluster: {CertificateAuthorityData: a.CA, Server: a.Server}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{a.Cluster: {TokenFile: mounted + tokenKey}},
		Contexts:       map[string]*clientcmdapi.Context{a.Cluster: {Cluster: a.Cluster, AuthInfo: a.Cluster}},
		CurrentContext: a.Cluster,
	})
}

// Do writes the Secret. A token that is still good is kept. An istiod that can not read the
// cluster with what it has is made to start again, since it could take two minutes until the
// kubelet and istiod have noticed; whoever waits for istiod comes after this.
func (k IstiodKubeconfig) Do(ctx context.Context, _ graph.Change) error {
	if err := k.do(ctx); err != nil {
		return fmt.Errorf("applying what istiod in %s reads %s with: %w", k.In.Cluster, k.Of.Cluster, err)
	}
	return nil
}

func (k IstiodKubeconfig) do(ctx context.Context) error {
	f, blind, err := k.inspect(ctx)
	if err != nil {
		return err
	}
	if err := k.token().renew(ctx, &f); err != nil {
		return err
	}
	config, err := k.config(f.want)
	if err != nil {
		return err
	}
	err = k.In.Apply(ctx, &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Name: topology.IstiodKubeconfigSecret, Namespace: topology.SystemNamespace, Labels: k.Labels,
			Annotations: map[string]string{topology.AnnotationCluster: k.Of.Cluster, topology.AnnotationExpires: f.expires},
		},
		Data: map[string][]byte{configKey: config, tokenKey: []byte(f.want.Token)},
	})
	if err != nil || !blind {
		return err
	}
	graph.State(ctx, "restarting istiod, which can not read %s with what it has", k.Of.Cluster)
	return restartIstiod(ctx, k.In, "")
}
