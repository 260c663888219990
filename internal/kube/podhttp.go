// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/run"
)

// maxAnswer bounds how much of a pod's answer is read.
const maxAnswer = 64 << 20

// PodHTTP sends one request to a port of a pod through a port-forward of its own and returns
// the body. Any status but 2xx is a StatusError. It blocks until the whole answer (at most
// 64 MiB) is read or ctx ends.
func (c *Client) PodHTTP(ctx context.Context, ns, pod string, port int, method, path string, body []byte) ([]byte, error) {
	f, err := c.Forward(ctx, ns, pod, port)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	answer, err := f.HTTP(ctx, method, path, body)
	if err != nil {
		return nil, c.Explain(err, fmt.Sprintf("asking pod %s/%s", ns, pod))
	}
	return answer, nil
}

// HTTP sends one request through an open forward; it is what PodHTTP does.
func (f *Forward) HTTP(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+f.Addr+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if len(answer) > maxAnswer {
		return nil, fmt.Errorf("reading the answer to %s %s: it is larger than %d bytes", method, path, maxAnswer)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, &StatusError{Method: method, Path: path, Code: response.StatusCode, Body: firstLine(string(answer))}
	}
	return answer, nil
}

// StatusError is an answer of a pod that is not 2xx.
type StatusError struct {
	// Method and Path are those of the request.
	Method, Path string
	// Code is the HTTP status.
	Code int
	// Body is the first line of the answer, at most 200 bytes, without secrets.
	Body string
}

// Error implements error.
func (e *StatusError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("%s %s: %d %s: %s", e.Method, e.Path, e.Code, http.StatusText(e.Code), e.Body), ": ")
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(run.Redact(s)), "\n")
	return diag.Clip(line, 200)
}
