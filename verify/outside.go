// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/probe"
)

// Names of the outside clients that a report knows.
const (
	OutsideHost      = "host"
	OutsideContainer = "container"
)

// outsideTimeout bounds one request of an outside client. What it takes to start the client
// comes on top.
const outsideTimeout = 2 * time.Second

// Outside is a client outside of the mesh, as a user of an ingress gateway is.
type Outside struct {
	// Name is the variant of its results: OutsideHost or OutsideContainer.
	Name string
	// URL leads it to the ingress gateway, by cluster: scheme, address and port, no path. A
	// cluster without one is skipped for this client.
	URL map[string]string
	// Unusable says why there is no such client here; its checks are skipped with these words.
	Unusable string
	// Get sends one GET with a Host header and follows no redirect. An error means that no HTTP
	// answer came; one that wraps ErrNotSent, that none was asked for.
	Get func(ctx context.Context, url, host string) (OutsideAnswer, error)
}

// OutsideAnswer is an HTTP answer, whatever its status.
type OutsideAnswer struct {
	Status int
	// Body as far as it was read.
	Body    []byte
	Headers map[string]string
}

// ErrNotSent is what errors.Is finds when an outside client could not send its request: that
// says nothing about the mesh.
var ErrNotSent = errors.New("the request was not sent")

// FromHost is the client in this process. It asks no proxy of the environment.
func FromHost(urls map[string]string) Outside {
	return Outside{Name: OutsideHost, URL: urls, Get: func(ctx context.Context, url, host string) (OutsideAnswer, error) {
		answer, err := probe.Get(ctx, probe.GetRequest{URL: url, Host: host, Timeout: outsideTimeout})
		return OutsideAnswer{Status: answer.Status, Body: []byte(answer.Body), Headers: answer.Headers}, err
	}}
}

// FromContainer is a client in a container on the clusters' network. run starts one of the
// probe's image with the given arguments, waits for its end and returns what it wrote to
// stdout, also beside the error of an exit code that is not zero.
func FromContainer(urls map[string]string, run func(ctx context.Context, args []string) (string, error)) Outside {
	return Outside{Name: OutsideContainer, URL: urls, Get: func(ctx context.Context, url, host string) (OutsideAnswer, error) {
		args := []string{"get", "-timeout", outsideTimeout.String()}
		if host != "" {
			args = append(args, "-host", host)
		}
		stdout, err := run(ctx, append(args, url))
		return said(stdout, err)
	}}
}

// said reads what the probe's sub-command get printed; failed is how its container ended.
func said(stdout string, failed error) (OutsideAnswer, error) {
	var printed struct {
		probe.GetAnswer
		probe.GetError
	}
	err := json.Unmarshal([]byte(stdout), &printed)
	switch {
	case err == nil && printed.Status != 0:
		return OutsideAnswer{Status: printed.Status, Body: []byte(printed.Body), Headers: printed.Headers}, nil
	case err == nil && printed.Detail != "":
		return OutsideAnswer{}, &printed.GetError
	case failed != nil:
		return OutsideAnswer{}, fmt.Errorf("%w: %w", ErrNotSent, failed)
	}
	return OutsideAnswer{}, fmt.Errorf("%w: the probe printed %q", ErrNotSent, clip(stdout))
}

// header looks a header up, whatever the case of its name.
func (a OutsideAnswer) header(name string) string {
	for k, v := range a.Headers {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// outcome is an answer, or the lack of one, as the probes report theirs.
func (a OutsideAnswer) outcome(err error) probe.Outcome {
	o := probe.Outcome{Status: a.Status, Count: 1}
	if err != nil {
		o = probe.Outcome{Error: probe.Classify(err), Detail: err.Error(), Count: 1}
		var none *probe.GetError
		if errors.As(err, &none) {
			o.Error = none.Class
		}
		return o
	}
	var who probe.Answer
	if json.Unmarshal(a.Body, &who) == nil && who.Pod != "" {
		o.Pod, o.UID = who.Pod, who.UID
	} else {
		o.Detail = string(a.Body)
	}
	return o
}

// byEnvoy says whether an Envoy of the mesh gave the answer: by its name, or by the words
// with which its policy filter denies.
func (a OutsideAnswer) byEnvoy() bool {
	return strings.Contains(a.header("server"), "envoy") || strings.HasPrefix(string(a.Body), "RBAC:")
}
