// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import "time"

// Ports that the probe listens on. The application answers alike on all application
// ports; two of them let one pod be under two mTLS modes.
const (
	PortApp       = 8080
	PortAppSecond = 8081
	// PortAdmin is bound to loopback.
	PortAdmin = 8090
)

// Bounds of a run; a request beyond them is refused.
const (
	MaxRate     = 500.0
	MaxCount    = 5000
	MaxDuration = 3 * time.Minute
	MaxParallel = 32
	MaxTimeout  = 30 * time.Second
	// MaxRuns may be under way at once.
	MaxRuns = 64
)

// BucketWidth is the resolution of a time line.
const BucketWidth = 100 * time.Millisecond

// Answer is what the application answers with: who it says it is.
type Answer struct {
	Pod string `json:"pod"`
	UID string `json:"uid,omitempty"`
}

// Fault is what the application does instead of answering 200.
type Fault struct {
	// Host limits the fault to requests for one host name; empty means all.
	Host string `json:"host"`
	// Status is answered, 400 to 599; 0 ends the fault.
	Status int `json:"status"`
}

// RunRequest asks for load. Either Rate and Duration are set (a fixed rate, whatever the
// answers do) or Count (as fast as Parallel callers get answers).
type RunRequest struct {
	// URL to GET, http only.
	URL string `json:"url"`
	// Host header; empty means the URL's.
	Host string `json:"host,omitempty"`
	// Count of requests.
	Count int `json:"count,omitempty"`
	// Parallel callers in count mode; default 1.
	Parallel int `json:"parallel,omitempty"`
	// Rate in requests per second.
	Rate float64 `json:"rate,omitempty"`
	// Duration of a run at a fixed rate; of a counted run the bound, after which what is
	// left is not sent. 0 means no bound there.
	Duration time.Duration `json:"duration,omitempty"`
	// Timeout of one request; default 2 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// Fresh makes a new connection for each request.
	Fresh bool `json:"fresh,omitempty"`
}

// Outcome counts requests that ended alike.
type Outcome struct {
	// Pod and UID are what the answer says of itself; empty when it did not say.
	Pod string `json:"pod,omitempty"`
	UID string `json:"uid,omitempty"`
	// Status is the HTTP status; 0 when there was no answer.
	Status int `json:"status,omitempty"`
	// Error is the class of what happened instead of an answer.
	Error string `json:"error,omitempty"`
	// Detail is the first error's words, or the first body that was no Answer.
	Detail string `json:"detail,omitempty"`
	// Count of requests, and when the first and the last of them were sent, since the
	// start of the run.
	Count int           `json:"count"`
	First time.Duration `json:"first"`
	Last  time.Duration `json:"last"`
}

// OK says whether the calling application got a 2xx.
func (o Outcome) OK() bool { return o.Status >= 200 && o.Status < 300 }

// Bucket counts the requests that were sent within one BucketWidth.
type Bucket struct {
	// At is the start of the bucket since the start of the run.
	At time.Duration `json:"at"`
	// Counts by index into Outcomes.
	Counts map[int]int `json:"counts"`
}

// RunReport is what a run saw. While Done is false it is what it saw so far.
type RunReport struct {
	ID      string        `json:"id,omitempty"`
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed"`
	Done    bool          `json:"done"`
	// Complete is until when the time line is: a request that was sent later may still be
	// without an answer.
	Complete time.Duration `json:"complete"`
	Sent     int           `json:"sent"`
	Outcomes []Outcome     `json:"outcomes"`
	Timeline []Bucket      `json:"timeline,omitempty"`
	// P50 and P99 of the time to an answer, over requests that got one.
	P50 time.Duration `json:"p50,omitempty"`
	P99 time.Duration `json:"p99,omitempty"`
}

// TLSRequest asks for a handshake without a client certificate.
type TLSRequest struct {
	// Addr is host:port.
	Addr string `json:"addr"`
	// SNI is the server name sent; empty for none.
	SNI string `json:"sni,omitempty"`
	// ALPN protocols offered.
	ALPN []string `json:"alpn,omitempty"`
	// Timeout; default 2 s.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// TLSReport is what was served. The chain is kept even when the handshake failed later.
type TLSReport struct {
	// Chain is PEM, leaf first.
	Chain string `json:"chain,omitempty"`
	// Version and ALPN that were agreed on.
	Version string `json:"version,omitempty"`
	ALPN    string `json:"alpn,omitempty"`
	// Error class and words of what ended the connection; a server that wants a client
	// certificate ends it with a TLS alert after the handshake.
	Error  string `json:"error,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// KnockRequest asks for one HTTP request on a connection of its own, which a mesh should
// refuse: in plaintext, or over TLS without a certificate that the mesh gave out.
type KnockRequest struct {
	// Addr is host:port.
	Addr string `json:"addr"`
	// Host header; empty means Addr.
	Host string `json:"host,omitempty"`
	// Path; default "/".
	Path string `json:"path,omitempty"`
	// TLS makes a handshake first, with SNI and ALPN as in TLSRequest.
	TLS  bool     `json:"tls,omitempty"`
	SNI  string   `json:"sni,omitempty"`
	ALPN []string `json:"alpn,omitempty"`
	// Claim is the URI in the client certificate, of a root that is made for this connection and
	// kept nowhere; empty sends no certificate.
	Claim string `json:"claim,omitempty"`
	// Timeout; default 2 s.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// KnockReport is how it ended.
type KnockReport struct {
	Outcome Outcome `json:"outcome"`
	// Served is the first URI of the certificate that was served, or its subject; empty when
	// none was, so that who refused did so before.
	Served string `json:"served,omitempty"`
}

// PrefixCounted begins the paths of which the application counts requests (see Counted).
const PrefixCounted = "/counted/"

// Counted is how many requests for one path the application has been given, from whomever.
type Counted struct {
	// Path begins with PrefixCounted.
	Path string `json:"path"`
	// Count is filled in by the answer.
	Count int `json:"count,omitempty"`
}

// Lookup asks for the addresses of a host name, as an application here finds them.
type Lookup struct {
	// Host to look up.
	Host string `json:"host"`
	// Addresses, or the class of what happened instead and its words; filled in by the answer.
	Addresses []string `json:"addresses,omitempty"`
	Error     string   `json:"error,omitempty"`
	Detail    string   `json:"detail,omitempty"`
	// Timeout; default 2 s.
	Timeout time.Duration `json:"timeout,omitempty"`
}
