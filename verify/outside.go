// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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

// outsideBody bounds what is read of an answer, in bytes; the rest is not.
const outsideBody = 64 << 10

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
	// Done ends what Get has started and blocks until nothing of it is left; Get may start it again.
	// May be nil.
	Done func()
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

var errCutShort = errors.New("the answer broke off in its body")

// FromHost is the client in this process. It asks no proxy of the environment.
func FromHost(urls map[string]string) Outside {
	return Outside{Name: OutsideHost, URL: urls, Get: get}
}

// get sends one GET on a connection of its own, as a user outside of the mesh would.
func get(ctx context.Context, url, host string) (OutsideAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, outsideTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return OutsideAnswer{}, fmt.Errorf("%w: %w", ErrNotSent, err)
	}
	req.Host = host
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return OutsideAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, outsideBody))
	if err != nil {
		// Whoever had begun to answer denied nothing, however it ended.
		return OutsideAnswer{}, fmt.Errorf("%w: %s", errCutShort, err.Error())
	}
	answer := OutsideAnswer{Status: resp.StatusCode, Body: body, Headers: map[string]string{}}
	for name := range resp.Header {
		answer.Headers[name] = resp.Header.Get(name)
	}
	return answer, nil
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
	if err != nil {
		return probe.Outcome{Error: probe.Classify(err), Detail: err.Error(), Count: 1}
	}
	o := probe.Outcome{Status: a.Status, Count: 1}
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
