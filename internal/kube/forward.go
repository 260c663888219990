// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// forwardTimeout bounds how long a port-forward may take to be ready.
const forwardTimeout = 20 * time.Second

// Forward is an open port-forward. It ends by Close or with its context.
type Forward struct {
	// Addr is where it listens, "127.0.0.1:NNN".
	Addr string

	stop func()
	done chan struct{}
	err  error
}

// Close ends the forward and waits until its listener is gone; a second call does nothing.
func (f *Forward) Close() {
	f.stop()
	<-f.done
}

// Done is closed when the forward has ended, for whatever reason.
func (f *Forward) Done() <-chan struct{} { return f.done }

// Err says why the forward ended; it is nil before the end and after Close.
func (f *Forward) Err() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// Forward opens a port-forward to a port of a pod, on a free port of 127.0.0.1. It blocks
// until it listens, at most 20 s, and lives until Close or the end of ctx, whose cause is in the
// error. The pod sees
// connections from its own loopback address.
func (c *Client) Forward(ctx context.Context, ns, pod string, port int) (*Forward, error) {
	operation := fmt.Sprintf("forwarding to port %d of pod %s/%s", port, ns, pod)
	dialer, err := c.dialer(ns, pod)
	if err != nil {
		return nil, c.Explain(err, operation)
	}
	stopped, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddressesForStreaming(dialer, []string{"127.0.0.1"},
		[]string{fmt.Sprintf("0:%d", port)}, stopped, ready, io.Discard, io.Discard)
	if err != nil {
		return nil, c.Explain(err, operation)
	}
	f := &Forward{stop: sync.OnceFunc(func() { close(stopped) }), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.err = forwarder.ForwardPorts()
		if dialer.err != nil {
			f.err = dialer.err
		}
	}()
	unwatch := context.AfterFunc(ctx, f.stop)
	go func() { <-f.done; unwatch() }()

	deadline := time.NewTimer(forwardTimeout)
	defer deadline.Stop()
	select {
	case <-ready:
	case <-f.done:
		return nil, c.Explain(ended(ctx, f.err), operation)
	case <-ctx.Done():
		// A dial that is under way can not be interrupted; it ends by itself.
		return nil, c.Explain(context.Cause(ctx), operation)
	case <-deadline.C:
		f.stop()
		return nil, c.Explain(fmt.Errorf("not ready within %s", forwardTimeout), operation)
	}
	ports, err := forwarder.GetPorts()
	if err != nil || len(ports) != 1 {
		f.Close()
		return nil, c.Explain(errors.Join(errors.New("no local port"), err), operation)
	}
	f.Addr = fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
	return f, nil
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return errors.New("the connection was closed")
	}
	return err
}

// remembering is a dialer that keeps its error, which the port-forwarder flattens to text.
type remembering struct {
	httpstream.Dialer
	err error
}

// Dial implements httpstream.Dialer.
func (d *remembering) Dial(protocols ...string) (httpstream.Connection, string, error) {
	conn, protocol, err := d.Dialer.Dial(protocols...)
	d.err = err
	return conn, protocol, err
}

// dialer upgrades by WebSocket, and by SPDY where a server or proxy knows nothing newer, as
// kubectl does.
func (c *Client) dialer(ns, pod string) (*remembering, error) {
	url := c.Clientset.CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(c.REST)
	if err != nil {
		return nil, err
	}
	secondary := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	primary, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, c.REST)
	if err != nil {
		return nil, err
	}
	return &remembering{Dialer: portforward.NewFallbackDialerForStreaming(primary, secondary, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})}, nil
}
