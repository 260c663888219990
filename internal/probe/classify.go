// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Classes of what happened instead of an answer.
const (
	ErrTimeout     = "timeout"
	ErrRefused     = "refused"
	ErrReset       = "reset"
	ErrClosed      = "closed"
	ErrTLSAlert    = "tls-alert"
	ErrDNS         = "dns"
	ErrUnreachable = "unreachable"
	// ErrOverload: too many requests were still without an answer, so it was not sent.
	ErrOverload = "overload"
	ErrOther    = "other"
)

// Classify names the class of err; "" for nil.
func Classify(err error) string {
	var dns *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &dns):
		return ErrDNS
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return ErrRefused
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return ErrReset
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return ErrUnreachable
	// The type of an alert is not exported by crypto/tls; its words are.
	case strings.Contains(err.Error(), "remote error: tls:"):
		return ErrTLSAlert
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrClosed
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return ErrTimeout
	}
	return ErrOther
}
