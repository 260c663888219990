// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
)

var (
	// errPlain refuses a request that would show content, or a login, to everybody on the way.
	errPlain = errors.New("it would be spoken to without TLS")
	// errLie is an answer whose content has another digest than the registry or the name says.
	errLie = errors.New("the content is not what its digest says")
	// errQuiet ends a transfer that stands still.
	errQuiet = errors.New("nothing moves")
)

// manifestLimit is more than any manifest has.
const manifestLimit = 8 << 20

// Transport is how every request to a registry is made: through the proxies of the environment,
// with TLS but where o allows plain HTTP, with an end to transfers that stand still, and with a
// look at what is claimed of manifests.
func (o Options) Transport() http.RoundTripper { return careful{o, remote.DefaultTransport} }

type careful struct {
	o    Options
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t careful) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !t.o.plain(r.URL.Host) {
		return nil, fmt.Errorf("%s: %w", r.URL.Host, errPlain)
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	w := &watch{limit: t.o.quiet(), cancel: cancel}
	sent := r.Clone(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		sent.Body = watched{r.Body, w, ctx}
	}
	w.start()
	response, err := t.next.RoundTrip(sent)
	w.stop()
	if err != nil {
		cancel(nil)
		return nil, because(ctx, err)
	}
	response.Body = ending{watched{response.Body, w, ctx}, cancel}
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") && response.StatusCode == http.StatusOK {
		return checked(response)
	}
	return response, nil
}

// checked compares a manifest with the digest that the registry gives for it: nodes ask for the
// digest first and would refuse what does not match it.
func checked(response *http.Response) (*http.Response, error) {
	said := response.Header.Get("Docker-Content-Digest")
	body, err := io.ReadAll(io.LimitReader(response.Body, manifestLimit))
	if cerr := response.Body.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	signed := strings.Contains(response.Header.Get("Content-Type"), "prettyjws") // of 2015, hashed without its signature
	if is := "sha256:" + hex.EncodeToString(sum[:]); strings.HasPrefix(said, "sha256:") && said != is && !signed {
		return nil, fmt.Errorf("%w: it says %s and sends %s", errLie, said, is)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// because names what ended a request where that was us.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil && errors.Is(cause, errQuiet) {
		return cause
	}
	return err
}

// watch ends a request when nothing has moved for the limit. Time in which our side does not ask
// for more does not count.
type watch struct {
	limit  time.Duration
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

func (w *watch) start() {
	limit, cancel := w.limit, w.cancel
	if w.timer != nil {
		w.timer.Reset(limit)
		return
	}
	w.timer = time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w for %s", errQuiet, limit)) })
}

func (w *watch) stop() { w.timer.Stop() }

// watched is a body whose every piece is bounded.
type watched struct {
	io.ReadCloser
	w   *watch
	ctx context.Context //nolint:containedctx // it is the request's, as the body is
}

func (b watched) Read(p []byte) (int, error) {
	b.w.start()
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = because(b.ctx, err)
	}
	return n, err
}

// ending is an answer's body; time between two reads does not count, and closing it ends the request.
type ending struct {
	watched
	cancel context.CancelCauseFunc
}

func (b ending) Read(p []byte) (int, error) {
	n, err := b.watched.Read(p)
	b.w.stop()
	return n, err
}

func (b ending) Close() error {
	err := b.ReadCloser.Close()
	b.w.stop()
	b.cancel(nil)
	return err
}
