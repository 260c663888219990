// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxBody bounds what Get keeps of a body; the rest is not read.
const MaxBody = 64 << 10

// GetRequest is one request from outside of the mesh.
type GetRequest struct {
	// URL to GET, http only.
	URL string
	// Host header; empty means the URL's.
	Host string
	// Timeout of the whole request; default 2 s.
	Timeout time.Duration
}

// GetAnswer is an HTTP answer, whatever its status.
type GetAnswer struct {
	Status int `json:"status"`
	// Headers by canonical name; the values of one that came several times are joined.
	Headers map[string]string `json:"headers"`
	// Body, at most MaxBody of it.
	Body string `json:"body"`
}

// GetError says that no HTTP answer came. It is what the sub-command get prints then.
type GetError struct {
	// Detail are the words of the error, Class what Classify makes of it.
	Detail string `json:"error"`
	Class  string `json:"class"`
}

func (e *GetError) Error() string { return e.Detail }

// Get sends one GET on a connection of its own, as a user outside of the mesh would: it
// follows no redirect and asks no proxy of the environment. An error for want of an answer
// is a *GetError.
func Get(ctx context.Context, r GetRequest) (GetAnswer, error) {
	var answer GetAnswer
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return answer, fmt.Errorf("url %q is not an http URL with a host", r.URL)
	}
	ctx, cancel := context.WithTimeout(ctx, bounded(r.Timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return answer, fmt.Errorf("making the request: %w", err)
	}
	req.Host = r.Host
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return answer, &GetError{Detail: err.Error(), Class: Classify(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxBody))
	if err != nil {
		return answer, &GetError{Detail: "reading the body: " + err.Error(), Class: Classify(err)}
	}
	answer = GetAnswer{Status: resp.StatusCode, Headers: map[string]string{}, Body: string(body)}
	for name, values := range resp.Header {
		answer.Headers[name] = strings.Join(values, ", ")
	}
	return answer, nil
}

// get is the sub-command: it prints a GetAnswer or a GetError, and returns an error with the
// latter.
func get(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("meshfed-probe get", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var r GetRequest
	flags.StringVar(&r.Host, "host", "", "Host header; the URL's when empty")
	flags.DurationVar(&r.Timeout, "timeout", bounded(0), "of the whole request")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("usage: meshfed-probe get [-host HOST] [-timeout DURATION] URL")
	}
	r.URL = flags.Arg(0)
	answer, err := Get(ctx, r)
	encoder := json.NewEncoder(stdout)
	if err == nil {
		return encoder.Encode(answer)
	}
	var none *GetError
	if !errors.As(err, &none) {
		none = &GetError{Detail: err.Error(), Class: ErrOther}
	}
	return errors.Join(err, encoder.Encode(none))
}
