// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/meshfed/meshfed/internal/diag"
)

// errSilent ends asking for an image.
var errSilent = errors.New("no answer")

// Error is a failure of a registry as a person reads it. Unwrap gives what the network or the
// registry said, which is long and in the words of its layers.
type Error struct {
	// Text is the whole message.
	Text string
	// Err is the cause.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// cause is what is wrong, in words that follow "asking registry x for y: ", and what to do.
type cause struct{ text, hint string }

// Explain says what err means when it came from asking for an image, or from moving its content.
func (o Options) Explain(image string, err error) error {
	if err == nil {
		return nil
	}
	return o.explainAll(map[string]error{image: err})
}

// explainAll makes one error of what went wrong: images of one registry that fail for one
// reason are one line.
func (o Options) explainAll(failed map[string]error) error {
	type group struct{ host, text string }
	paths, hints, first := map[group][]string{}, map[group]string{}, map[group]error{}
	for _, image := range slices.Sorted(maps.Keys(failed)) {
		err := failed[image]
		ref, perr := o.Parse(image)
		if perr != nil {
			return diag.Hint(perr, "write it as host/path:tag")
		}
		if errors.Is(err, context.Canceled) && !errors.Is(err, errQuiet) {
			return fmt.Errorf("asking registry %s for images: %w", hostOf(ref), err)
		}
		c := o.causeOf(hostOf(ref), err)
		if status(err) == http.StatusNotFound {
			c.hint = nodeHint(ref) + c.hint
		}
		g := group{hostOf(ref), c.text}
		paths[g] = append(paths[g], ref.Context().RepositoryStr()+separator(ref)+ref.Identifier())
		if first[g] == nil {
			hints[g], first[g] = c.hint, err
		}
	}
	groups := slices.SortedFunc(maps.Keys(paths), func(a, b group) int { return strings.Compare(a.host+a.text, b.host+b.text) })
	var all []error
	for _, g := range groups {
		err := &Error{Text: fmt.Sprintf("asking registry %s for %s: %s", g.host, some(paths[g]), g.text), Err: first[g]}
		all = append(all, diag.Hint(err, hints[g]))
	}
	return errors.Join(all...)
}

// hostOf is the registry as people write it.
func hostOf(ref name.Reference) string { return shown(ref.Context().RegistryStr()) }

// nodeHint is for a mirror that lacks a node image: one that was filled from a bundle that was
// built from source has another release than the one that is published and asked for by default.
func nodeHint(ref name.Reference) string {
	repository, built, _ := strings.Cut(BuiltNode, ":v")
	if !strings.HasSuffix("/"+ref.Context().RepositoryStr(), "/"+repository) || ref.Identifier() == "v"+built || hostOf(ref) == "docker.io" {
		return ""
	}
	return "if the mirror was filled from a bundle that was built from source, write provider.kind.kubernetes: " + built + ", which that has; else "
}

func separator(ref name.Reference) string {
	if _, ok := ref.(name.Digest); ok {
		return "@"
	}
	return ":"
}

// some names a few of a list.
func some(list []string) string {
	if len(list) > 2 {
		return fmt.Sprintf("%s and %d more images", list[0], len(list)-1)
	}
	return strings.Join(list, " and ")
}

const (
	elsewhereHint = "does this host reach it? spec.images.mirror names a registry that it reaches; " +
		"a host without one uses a bundle, which `meshfed bundle pull` makes elsewhere"
	trustHint = "make this host trust the registry's certificate authority (and the nodes, which pull by themselves); " +
		"a registry that has no TLS is written with http:// in spec.images.mirror"
)

// Say tells in few words what err means when it came from a host, and what to do about it; the
// second is empty where nothing is known.
func (o Options) Say(host string, err error) (text, hint string) {
	c := o.causeOf(host, err)
	return c.text, c.hint
}

// causeOf recognises what went wrong. What it does not know is said as it came.
func (o Options) causeOf(host string, err error) cause {
	if login := (*loginError)(nil); errors.As(err, &login) {
		return cause{login.text, login.hint}
	}
	if c, ok := o.networkCause(host, err); ok {
		return c
	}
	if c, ok := answerCause(host, status(err)); ok {
		return c
	}
	text := err.Error()
	switch {
	case errors.Is(err, errLie), strings.Contains(text, "does not match requested digest"), strings.Contains(text, "error verifying"), strings.Contains(text, "mismatched digest"):
		return cause{"its content is not what its digest says", "do not use it: something on the way or in the registry changes or damages content; " +
			"ask whoever runs " + host + ", or use another mirror"}
	case strings.Contains(text, "no child with platform"):
		return cause{"it has the image, but not for " + o.platform(), "push one for " + o.platform() + " to " + host + ", or use clusters of a platform that it has"}
	case errors.Is(err, errQuiet):
		return cause{"the transfer stands still: " + errQuiet.Error() + " for " + o.quiet().String(), "run it again: what has come is kept. " + elsewhereHint}
	}
	return cause{brief(text), elsewhereHint}
}

// brief cuts what a registry answered: some send whole pages.
func brief(text string) string {
	const most = 300
	return diag.Clip(strings.Join(strings.Fields(text), " "), most)
}

// networkCause knows failures before the registry has answered.
func (o Options) networkCause(host string, err error) (cause, bool) {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errSilent):
		return cause{err.Error(), elsewhereHint}, true
	case errors.As(err, &dns) && !dns.IsTimeout:
		return cause{"there is no host of this name", elsewhereHint}, true
	case errors.Is(err, syscall.ECONNREFUSED):
		return cause{"it refuses connections", "is it running? " + elsewhereHint}, true
	case isTrust(err):
		return cause{"its certificate is not trusted here: " + trust(err), trustHint}, true
	case !o.plain(host) && (strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") || isRecord(err)):
		return cause{"it speaks no TLS", "write it with http:// in spec.images.mirror if it shall be spoken to without TLS"}, true
	case errors.Is(err, errPlain):
		return cause{errPlain.Error() + ", which is done only when asked for", "write http://" + host + " in spec.images.mirror if that is meant"}, true
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return cause{"no answer", elsewhereHint}, true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return cause{"it breaks connections", "run it again; a proxy on the way may be the reason. " + elsewhereHint}, true
	}
	return cause{}, false
}

func isTrust(err error) bool {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	return errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) || errors.As(err, &verify)
}

// trust is why, without the request's URL.
func trust(err error) string {
	var verify *tls.CertificateVerificationError
	if errors.As(err, &verify) {
		return verify.Err.Error()
	}
	return brief(err.Error())
}

func isRecord(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}

// status is what a registry has answered, by whichever client it was asked; 0 for nothing.
func status(err error) int {
	var image *transport.Error
	var charts *errcode.ErrorResponse
	switch {
	case errors.As(err, &image):
		return image.StatusCode
	case errors.As(err, &charts):
		return charts.StatusCode
	}
	return 0
}

// answerCause knows what registries answer.
func answerCause(host string, code int) (cause, bool) {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return cause{fmt.Sprintf("it wants a login that may read this, or has no such image (%d)", code),
			loginHint(host) + "; for the nodes set spec.images.pullSecret"}, true
	case http.StatusNotFound:
		return cause{"it has no such image (404)", "check spec.images.mirror, spec.istio.version and provider.kind.kubernetes; " +
			"`meshfed bundle push " + host + "/PATH` fills a mirror from a bundle"}, true
	case http.StatusTooManyRequests:
		return cause{"it limits how often one may ask (429)", loginHint(host) + " raises the limit; so does a mirror, in spec.images.mirror"}, true
	case http.StatusInsufficientStorage:
		return cause{"it has no room left (507)", "make room in " + host}, true
	default:
		if code >= http.StatusInternalServerError {
			return cause{fmt.Sprintf("it fails (%d)", code), "ask whoever runs " + host + ", or try again"}, true
		}
	}
	return cause{}, false
}
