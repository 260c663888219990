// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// build plays the work on a bundle, with a clock of its own.
func build(out *Output, at func(moment string, p *Progress)) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := newProgress(out, []Item{
		{"unpacking Debian", 20 * time.Second}, {"compiling kubelet", 3 * time.Minute},
		{"compiling istiod", 2 * time.Minute}, {"packing images", 10 * time.Second},
	}, func() time.Time { return now })
	at("begin", p)
	p.Skip("unpacking Debian", "cached")
	p.Start("compiling kubelet")
	p.State("compiling kubelet", "k8s.io/%s", "client-go")
	now = now.Add(time.Minute)
	at("in the middle of kubelet", p)
	now = now.Add(5 * time.Minute)
	at("kubelet takes long", p)
	p.Done("compiling kubelet", nil)
	p.Start("compiling istiod")
	p.Start("packing images")
	now = now.Add(30 * time.Second)
	at("two at once, on a slow machine", p)
	p.Done("packing images", errors.New("no space left\non device"))
	now = now.Add(3 * time.Minute)
	p.Done("compiling istiod", nil)
	at("end", p)
	p.Close()
	p.Close()
}

func TestProgressPlain(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	build(&Output{Writer: &b}, func(string, *Progress) {})
	checkFile(t, "progress.plain.txt", b.String())
}

func TestProgressFrames(t *testing.T) {
	t.Parallel()
	for _, l := range looks()[1:] {
		for _, columns := range []int{80, 40} {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				var b strings.Builder
				out := l.out // its own: two subtests have the same look
				out.Writer = &bytes.Buffer{}
				out.Size = func() (int, int) { return columns, 24 }
				build(&out, func(moment string, p *Progress) {
					b.WriteString("--- " + moment + "\n" + strings.Join(p.frame(), "\n") + "\n")
				})
				for line := range strings.Lines(printable(b.String())) {
					if cells(line) > columns {
						t.Errorf("too wide: %q", line)
					}
				}
				if columns == 80 {
					checkFile(t, "progress."+l.name+".txt", b.String())
				}
			})
		}
	}
}

func TestProgressKeepsWhatIsDone(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	build(&Output{Writer: &b, Terminal: true}, func(string, *Progress) {})
	got := b.String()
	for _, want := range []string{"✔ compiling kubelet in 6m00s", "✘ packing images failed after 30.0s: no space left on device"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
	if !strings.HasSuffix(got, "\x1b[J"+showCursor) {
		t.Error("the bar stays after Close")
	}
}

func TestNewProgress(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := NewProgress(&Output{Writer: &b, Terminal: true}, nil)
	p.Start("an item that was not listed")
	time.Sleep(2 * redrawEvery)
	p.Done("an item that was not listed", nil)
	p.Done("another", nil)
	p.Close()
	if !strings.Contains(b.String(), "an item that was not listed in") {
		t.Errorf("%q", b.String())
	}
}
