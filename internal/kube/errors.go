// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/meshfed/meshfed/internal/diag"
)

// Absent says whether err means that the object, or its type, is not in the cluster.
func Absent(err error) bool {
	return err != nil && (apierrors.IsNotFound(err) || meta.IsNoMatchError(err))
}

// Reachable asks the API server for its version, at most once; the error names cluster,
// server and what to try.
func (c *Client) Reachable(ctx context.Context) error {
	_, err := c.Version(ctx)
	return err
}

// Version is the API server's version, for example "v1.36.3".
func (c *Client) Version(ctx context.Context) (string, error) {
	data, err := c.Clientset.Discovery().RESTClient().Get().AbsPath("/version").DoRaw(ctx)
	if err != nil {
		return "", c.Explain(err, "asking for the API server's version")
	}
	return parseVersion(data)
}

// Explain wraps err with the operation and the cluster, and with a hint where the cause is
// one that the user can do something about: no answer, no trust, no rights. Nil stays nil;
// the end of ctx is left as it is, for exit codes.
func (c *Client) Explain(err error, operation string) error {
	if err == nil {
		return nil
	}
	if hint := c.hint(err); hint != "" {
		err = diag.Hint(err, hint)
	}
	return diag.Op(err, c.Cluster, operation)
}

func (c *Client) hint(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		verify   *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case apierrors.IsUnauthorized(err):
		return fmt.Sprintf("the API server of %s at %s does not accept the credentials; try: %s", c.Cluster, c.host(), c.Kubectl("auth whoami"))
	case apierrors.IsForbidden(err):
		return "what the credentials may do: " + c.Kubectl("auth can-i --list")
	case errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &verify):
		return fmt.Sprintf("the certificate of %s at %s is not what the kubeconfig expects; was the cluster made again? try: %s", c.Cluster, c.host(), c.Kubectl("get --raw /readyz"))
	case unreachable(err):
		return fmt.Sprintf("the API server of %s at %s does not answer; is the cluster running? try: %s", c.Cluster, c.host(), c.Kubectl("get --raw /readyz"))
	}
	return ""
}

// unreachable says whether err comes from below HTTP.
func unreachable(err error) bool {
	var (
		op  *net.OpError
		dns *net.DNSError
		u   *url.Error
	)
	return errors.As(err, &op) || errors.As(err, &dns) || (errors.As(err, &u) && u.Timeout())
}

func (c *Client) host() string {
	if c.REST == nil {
		return "an unknown address"
	}
	return c.REST.Host
}

// Kubectl is a kubectl command line for this cluster, for hints.
func (c *Client) Kubectl(args string) string {
	command := "kubectl"
	if c.Kubeconfig != "" {
		command += " --kubeconfig " + c.Kubeconfig
	}
	if c.Context != "" {
		command += " --context " + c.Context
	}
	return command + " " + args
}
