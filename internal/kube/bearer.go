// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"io"
	"net/http"

	"k8s.io/client-go/rest"
)

// StatusAs sends one GET to c's API server with a bearer token in place of c's own
// credentials and returns the HTTP status, whatever it is. The error is about the connection
// only; it never holds the token.
func (c *Client) StatusAs(ctx context.Context, token, path string) (int, error) {
	cfg := rest.AnonymousClientConfig(c.REST)
	cfg.BearerToken = token
	cfg.Timeout = requestTimeout
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &counter{next: next, requests: &c.requests}
	})
	operation := "trying a token at " + path
	httpClient, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return 0, c.Explain(err, operation)
	}
	base, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return 0, c.Explain(err, operation)
	}
	target, err := base.Parse(path)
	if err != nil {
		return 0, c.Explain(err, operation)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return 0, c.Explain(err, operation)
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return 0, c.Explain(err, operation)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, nil
}
