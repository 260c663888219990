// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"net"
	"slices"
	"testing"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	if l := lookup(t.Context(), Lookup{Host: "127.0.0.1"}); l.Error != "" || !slices.Equal(l.Addresses, []string{"127.0.0.1"}) {
		t.Errorf("an address: %+v", l)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if l := lookup(ended, Lookup{Host: "nobody.invalid"}); l.Error == "" || l.Error == ErrDNS || l.Detail == "" || l.Addresses != nil {
		t.Errorf("a lookup that was cut off is no answer: %+v", l)
	}
}

func TestNoAnswerIsNotTheAnswerThatThereIsNone(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		ErrDNS:     &net.DNSError{IsNotFound: true},
		ErrTimeout: &net.DNSError{IsTimeout: true, IsTemporary: true},
		ErrOther:   &net.DNSError{Err: "server misbehaving", IsTemporary: true},
	} {
		if got := missing(err); got != want {
			t.Errorf("%+v is called %q, want %q", err, got, want)
		}
	}
}
