// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	tests := map[time.Duration][3]string{
		-time.Second:             {"0.0s", "0s", "a few seconds"},
		0:                        {"0.0s", "0s", "a few seconds"},
		450 * time.Millisecond:   {"0.5s", "0s", "a few seconds"},
		24123 * time.Millisecond: {"24.1s", "24s", "about 20 s"},
		59960 * time.Millisecond: {"1m00s", "1m00s", "about 60 s"},
		252 * time.Second:        {"4m12s", "4m12s", "about 4 min"},
		65 * time.Minute:         {"1h05m", "1h05m", "about 1 h 10 min"},
		2 * time.Hour:            {"2h00m", "2h00m", "about 2 h"},
	}
	for d, want := range tests {
		if got := [3]string{Duration(d), Clock(d), About(d)}; got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestByteSize(t *testing.T) {
	t.Parallel()
	tests := map[int64]string{
		-1: "0 B", 0: "0 B", 512: "512 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB",
		734_000_000: "734 MB", 999_600_000: "1.0 GB", 1_400_000_000: "1.4 GB", 15_000_000_000: "15 GB", 1<<63 - 1: "9.2 EB",
	}
	for n, want := range tests {
		if got := ByteSize(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestDetect(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env   map[string]string
		ascii bool
	}{
		"nothing set":        {},
		"UTF-8":              {env: map[string]string{"LANG": "en_US.UTF-8"}},
		"utf8":               {env: map[string]string{"LANG": "C.utf8"}},
		"C":                  {env: map[string]string{"LANG": "C"}, ascii: true},
		"LC_ALL before LANG": {env: map[string]string{"LC_ALL": "C.UTF-8", "LANG": "de_DE.ISO-8859-1"}},
		"LC_CTYPE":           {env: map[string]string{"LC_CTYPE": "POSIX", "LANG": "C.UTF-8"}, ascii: true},
		"Linux console":      {env: map[string]string{"TERM": "linux"}, ascii: true},
	}
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, test := range tests {
		out := Detect(file, func(name string) string { return test.env[name] })
		if out.ASCII != test.ascii || out.Terminal || out.Color || out.columns() != 80 {
			t.Errorf("%s: %+v", name, out)
		}
	}
	if out := Detect(&bytes.Buffer{}, os.Getenv); out.Terminal || out.Color {
		t.Errorf("a buffer is no terminal: %+v", out)
	}
}

func TestRedraws(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		env  map[string]string
		want bool
	}{
		"terminal":        {map[string]string{"TERM": "xterm-256color"}, true},
		"nothing said":    {nil, false},
		"dumb":            {map[string]string{"TERM": "dumb"}, false},
		"CI":              {map[string]string{"TERM": "xterm", "CI": "true"}, false},
		"CI by number":    {map[string]string{"TERM": "xterm", "CI": "1"}, false},
		"CI that is none": {map[string]string{"TERM": "xterm", "CI": "False"}, true},
	}
	for name, test := range tests {
		if got := redraws(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	tests := map[string]int{"": 0, "west": 4, "✔ ok": 4, "日本語": 6, "e\u0301": 1, "🚀": 2, "⠋━…→·✘": 6}
	for text, want := range tests {
		if got := cells(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	out := &Output{}
	if got := out.fit("東京のクラスタ", 7); got != "東京の…" {
		t.Errorf("%q", got)
	}
	if got := (&Output{ASCII: true}).encoded("a 東 ✔"); got != "a ?? ?" {
		t.Errorf("%q", got)
	}
}

func TestWrapKeepsCommandsWhole(t *testing.T) {
	t.Parallel()
	got := strings.Join(wrap("in some days `meshfed up -f topology.yaml` renews it", 24), "|")
	if want := "in some days|`meshfed up -f topology.yaml`|renews it"; got != want {
		t.Errorf("%q", got)
	}
	if got := strings.Join(wrap("a lone ` is no command", 10), "|"); got != "a lone `|is no|command" {
		t.Errorf("%q", got)
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"plain":                  "plain",
		"\x1b[1;31mred\x1b[0m":   "red",
		"\x1b]0;title\atext":     "]0;titletext",
		"a\tb\nc\r\x00\u009bd":   "a\tb\ncd",
		"turned \u202eround":     "turned round",
		"cut off \x1b[3":         "cut off ",
		"broken \xff byte and ✔": "broken  byte and ✔",
	}
	for text, want := range tests {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzFit(f *testing.F) {
	f.Add("a text \x1b[31mthat\x1b[0m is cut", 7)
	f.Fuzz(func(t *testing.T, text string, width int) {
		width = max(0, min(width, 200))
		for _, out := range []*Output{{}, {ASCII: true}} {
			got := out.fit(clean(text), width)
			if cells(got) > width || strings.ContainsAny(got, "\x1b\n\r\t") {
				t.Errorf("%q in %d columns: %q", text, width, got)
			}
		}
	})
}
