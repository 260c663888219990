// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"crypto/x509"
	"fmt"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/certs"
	"github.com/meshfed/meshfed/internal/kube"
)

// injectorWebhook is the name that the istiod chart gives its MutatingWebhookConfiguration
// (templates/mutatingwebhook.yaml).
const injectorWebhook = "istio-sidecar-injector"

// tagWebhook begins the name of the one that it makes for a revision tag
// (templates/revision-tags-mwc.yaml).
const tagWebhook = "istio-revision-tag-"

// webhook says whether the API server can call the injection webhook: istiod has put a
// caBundle into it and, when root is given, the bundle has that root. Pods that are made
// before fail, or run without a proxy ("image: auto" can not be pulled).
func (m Mesh) webhook(ctx context.Context, c *kube.Client, root *x509.Certificate) (ready bool, state string, err error) {
	if ready, state, err = callable(ctx, c, m.Topology.Revisioned(injectorWebhook), root); !ready || err != nil {
		return ready, state, err
	}
	if tag := m.Topology.Spec.Istio.Tag; tag != "" {
		return callable(ctx, c, tagWebhook+tag, root)
	}
	return true, state, nil
}

func callable(ctx context.Context, c *kube.Client, name string, root *x509.Certificate) (ready bool, state string, err error) {
	var found admissionv1.MutatingWebhookConfiguration
	err = c.Get(ctx, client.ObjectKey{Name: name}, &found)
	if kube.Absent(err) {
		return false, "istiod webhook " + name + " is not there yet", nil
	}
	if err != nil {
		return false, "", c.Explain(err, "reading webhook "+name)
	}
	for i := range found.Webhooks {
		bundle := found.Webhooks[i].ClientConfig.CABundle
		if len(bundle) == 0 {
			return false, "istiod webhook has no caBundle yet", nil
		}
		if root != nil && !contains(bundle, root) {
			return false, fmt.Sprintf("istiod webhook has a caBundle without root %s", certs.Fingerprint(root)), nil
		}
	}
	return len(found.Webhooks) > 0, "istiod webhook has no entries yet", nil
}

func (m Mesh) waitForWebhook(ctx context.Context, c *kube.Client, root *x509.Certificate) error {
	return until(ctx, c, "injection webhook", func(ctx context.Context) (bool, string, error) {
		return m.webhook(ctx, c, root)
	})
}

// contains says whether a PEM bundle has the certificate.
func contains(bundle []byte, root *x509.Certificate) bool {
	found, err := certs.ParseCertificates(bundle)
	if err != nil {
		return false
	}
	for _, each := range found {
		if each.Equal(root) {
			return true
		}
	}
	return false
}
