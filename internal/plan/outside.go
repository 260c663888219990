// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/meshfed/meshfed/install"
	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/internal/state"
	"github.com/meshfed/meshfed/topology"
	"github.com/meshfed/meshfed/verify"
)

// outsideBody bounds what is read of an answer, in bytes: verify's probes answer with less.
const outsideBody = 64 << 10

// outside are the clients that are not in the mesh: this host, which reaches published ports,
// and a container on the clusters' network, which reaches load-balancer addresses.
func (m *Mesh) outside(ctx context.Context, clients map[string]*kube.Client) []verify.Outside {
	published, balanced := map[string]string{}, map[string]string{}
	for name, c := range clients {
		declared := m.Topology.Cluster(name)
		if declared.Ingress == nil {
			continue
		}
		// What can not be found out has no URL, which verify reports as not looked at.
		if addresses, err := m.published(ctx, declared); err == nil && len(addresses) > 0 {
			published[name] = "http://" + addresses[0]
		}
		address, _, err := install.Address(ctx, c, topology.IngressGateway)
		if err != nil || address == "" {
			continue
		}
		if m.existing(name) {
			// Whether its network leads here is known only by trying; the container's is behind this host.
			if !listens(ctx, address) {
				continue
			}
			published[name] = "http://" + address
		}
		balanced[name] = "http://" + address
	}
	container := verify.Outside{Name: verify.OutsideContainer, URL: balanced}
	image := ""
	if m.Provider == nil {
		container.Unusable = "every cluster is your own, and no container engine is asked"
	} else if image = m.someNodeImage(ctx); image == "" {
		container.Unusable = "no node of the topology runs on " + m.Engine.Name()
	}
	container.Get = func(ctx context.Context, url, host string) (verify.OutsideAnswer, error) {
		return m.getFromContainer(ctx, image, url, host)
	}
	return []verify.Outside{verify.FromHost(published), container}
}

// listens says whether somebody takes connections on port 80 of an address.
func listens(ctx context.Context, address string) bool {
	connection, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", net.JoinHostPort(address, "80"))
	return err == nil && connection.Close() == nil
}

// someNodeImage is the image of a running node: every engine that has our clusters has it, and
// curl is in it, so that the outside client needs no image of its own.
func (m *Mesh) someNodeImage(ctx context.Context) string {
	clusters, err := m.Provider.List(ctx)
	if err != nil {
		return ""
	}
	nodes, err := cluster.Containers(ctx, m.Engine, "network="+m.Topology.NetworkName())
	if err != nil {
		return ""
	}
	for _, n := range nodes {
		// By the whole name: the network may be everybody's.
		name, _, control := strings.Cut(n.Name, "-control-plane")
		if control && n.Running() && slices.Contains(clusters, name) {
			return n.Image
		}
	}
	return ""
}

// getFromContainer sends one request from a container that lives for it.
func (m *Mesh) getFromContainer(ctx context.Context, image, url, host string) (verify.OutsideAnswer, error) {
	// Raw, because the headers are read too; and with a mark at its end, because what programs
	// print is handed on without the newlines at its end.
	args := []string{"--silent", "--show-error", "--include", "--raw", "--http1.1", "--max-time", "10",
		"--write-out", endMark, "--header", "Host: " + host, url}
	out, err := cluster.RunOnce(ctx, m.Engine, cluster.RunSpec{
		Name: m.Topology.Metadata.Name + "-outside-" + state.NewOwner()[:8], Network: m.Topology.NetworkName(), Image: image,
		Labels: m.Labels(), Entrypoint: "curl", Args: args,
	})
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < engineFailed:
		return verify.OutsideAnswer{}, newCurlError(exit.ExitCode(), err) // no HTTP answer came
	case err != nil:
		return verify.OutsideAnswer{}, fmt.Errorf("%w: %w", verify.ErrNotSent, err)
	}
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(strings.TrimSuffix(out, endMark))), nil)
	if err != nil {
		return verify.OutsideAnswer{}, fmt.Errorf("%w: reading what curl printed: %w", verify.ErrNotSent, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, outsideBody))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return verify.OutsideAnswer{}, err
	}
	headers := map[string]string{}
	for key := range response.Header {
		headers[key] = response.Header.Get(key)
	}
	return verify.OutsideAnswer{Status: response.StatusCode, Body: body, Headers: headers}, nil
}

// curlError is a failure of curl's own in the words of curl, which errors.Is knows by what Go's
// client would have said in its place: so both outside clients are judged alike.
type curlError struct {
	words string
	// err is the engine's, reason what it means, nil where that is not known.
	err, reason error
}

func newCurlError(code int, err error) curlError {
	e := curlError{words: err.Error(), err: err}
	var failed *run.Error
	if errors.As(err, &failed) {
		// The mark, and what had come of an answer, are around curl's own line.
		for line := range strings.Lines(failed.Output) {
			if strings.HasPrefix(line, "curl: ") {
				e.words = strings.TrimSpace(line)
			}
		}
	}
	e.reason = curlReason(code, e.words)
	return e
}

// Error implements error.
func (e curlError) Error() string { return e.words }

// Unwrap returns the engine's error and the reason.
func (e curlError) Unwrap() []error {
	if e.reason == nil {
		return []error{e.err}
	}
	return []error{e.err, e.reason}
}

// curlReason reads how a request ended from curl's exit code and words; nil where they do not
// tell (https://curl.se/libcurl/c/libcurl-errors.html).
func curlReason(code int, words string) error {
	switch {
	// While connecting, sending or receiving: the code says when, only the words say what.
	case strings.Contains(words, "Connection reset by peer"), strings.Contains(words, "Broken pipe"):
		return syscall.ECONNRESET
	case code == 7: // nobody took the connection; why, later versions of curl do not say
		return syscall.ECONNREFUSED
	case code == 28:
		return os.ErrDeadlineExceeded
	case code == 52: // closed, and nothing was answered
		return io.EOF
	}
	return nil
}

// endMark follows the answer in what curl prints.
const endMark = "."

// engineFailed is the lowest exit code by which Docker and podman say that the container did
// not run (https://docs.docker.com/engine/containers/run/#exit-status).
const engineFailed = 125
