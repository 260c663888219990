// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package diag_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/internal/diag"
)

func TestHints(t *testing.T) {
	t.Parallel()
	base := errors.New("port 80 is in use")
	inner := fmt.Errorf("creating west: %w", diag.Hint(base, "ss -ltnp"))
	other := diag.Hint(errors.New("no space"), "df -h")
	cases := []struct {
		name string
		err  error
		text string
		want []string
	}{
		{"nil", nil, "", nil},
		{"no hint", base, "port 80 is in use", nil},
		{"empty hint", diag.Hint(base, ""), "port 80 is in use", nil},
		{"found below a wrap", inner, "creating west: port 80 is in use", []string{"ss -ltnp"}},
		{"outermost first", diag.Hint(inner, "edit line 7"), "creating west: port 80 is in use", []string{"edit line 7", "ss -ltnp"}},
		{"joined errors keep theirs", errors.Join(inner, other), "creating west: port 80 is in use\nno space", []string{"ss -ltnp", "df -h"}},
		{"one text once", errors.Join(inner, inner), "creating west: port 80 is in use\ncreating west: port 80 is in use", []string{"ss -ltnp"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, diag.Hints(c.err)); diff != "" {
				t.Errorf("hints (-want +got):\n%s", diff)
			}
			if c.err != nil && c.err.Error() != c.text {
				t.Errorf("a hint changed the message: %q", c.err)
			}
		})
	}
	if diag.Hint(nil, "x") != nil || diag.Op(nil, "west", "x") != nil || diag.WithExit(nil, 2) != nil {
		t.Error("nil must stay nil")
	}
}

func TestClipCutsBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                "",
		"12345678":        "12345678",
		"123456789":       "12345678...",
		"1234567é":        "1234567...", // the eighth byte is half of it
		"123456é":         "123456é",
		"12345日本":         "12345日...",
		"1234567日本":       "1234567...",
		"12345678日本":      "12345678...",
		"12345\U0001F600": "12345...",
		"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80": "\x80\x80\x80\x80...", // what is no text does not vanish
	} {
		if got := diag.Clip(text, 8); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestOp(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("running: %w", diag.Op(fs.ErrNotExist, "east", "reading the kubeconfig"))
	if got, want := err.Error(), "running: east: reading the kubeconfig: file does not exist"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("the cause is lost")
	}
	outer := diag.Op(err, "", "federating")
	if diag.Cluster(outer) != "east" || outer.Error() != "federating: "+err.Error() {
		t.Errorf("cluster %q, %v", diag.Cluster(outer), outer)
	}
	if diag.Cluster(fs.ErrNotExist) != "" || diag.Cluster(nil) != "" {
		t.Error("a cluster out of nowhere")
	}
	if diag.Op(err, "", "") != err {
		t.Error("nothing to say must add nothing")
	}
}

func TestExitCode(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		err  error
		want int
	}{
		{"success", nil, 0},
		{"failure", errors.New("x"), 1},
		{"time-out is a failure", context.DeadlineExceeded, 1},
		{"interrupted", fmt.Errorf("waiting: %w", context.Canceled), 130},
		{"bad file", fmt.Errorf("loading: %w", diag.WithExit(errors.New("x"), diag.ExitUsage)), 2},
		{"silent check failure", &diag.ExitError{Code: diag.ExitCheckFailed}, 3},
		{"a code wins over an interrupt", diag.WithExit(context.Canceled, diag.ExitFailed), 1},
	}
	for _, c := range cases {
		if got := diag.ExitCode(c.err); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := (&diag.ExitError{Code: 3}).Error(); got != "exit code 3" {
		t.Errorf("an exit error without cause reads %q", got)
	}
}
