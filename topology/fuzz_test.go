// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// FuzzParse holds loading to its promises for any bytes and any --set arguments, one a line: it
// does not panic or take long, every problem has a place and a fix, and what it accepts is
// accepted by the schema, can be written, is accepted again and can be given addresses. Files
// that the topology names are looked at, as far as they are in testdata.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/wrong/*.yaml", "testdata/good/*.yaml", "../examples/*/topology.yaml"} {
		for _, file := range globOf(f, pattern) {
			data := readOf(f, file)
			f.Add(data, strings.Join(setsIn(data), "\n"))
		}
	}
	f.Add(readOf(f, "testdata/everything.yaml"), "spec.clusters[west].provider={}\nspec.istio.charts={}")
	for _, row := range boundaries() { // each field once, and each kind of path
		f.Add([]byte(two), row.path+"="+row.refused[0])
	}
	s := compiled(f)
	f.Fuzz(func(t *testing.T, data []byte, argument string) {
		var set []string
		if argument != "" {
			set = strings.Split(argument, "\n")
		}
		dir := "testdata"
		if bytes.Contains(data, []byte("/dev")) || bytes.Contains(data, []byte("/proc")) || strings.ContainsAny(argument, "/") {
			dir = "" // such files may never end
		}
		start := time.Now()
		parsed, err := parse("fuzz.yaml", data, set, dir, dir != "")
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("Parse took %s for %d bytes", took, len(data))
		}
		if err != nil {
			problems, ok := err.(Problems) //nolint:errorlint // the type itself is promised
			if !ok {
				t.Fatalf("the error is a %T", err)
			}
			checkProblems(t, "fuzz.yaml", problems)
			for _, p := range problems {
				if strings.Contains(p.String(), "-----BEGIN ") {
					t.Errorf("a problem repeats what may be a key: %s", p)
				}
			}
			return
		}
		if argument == "" { // what is laid over the file is a string where the file's is a number
			if err := validates(t, s, data); err != nil {
				t.Errorf("the schema refuses what was accepted: %v", err)
			}
		}
		text, err := json.Marshal(parsed)
		if err != nil {
			t.Fatalf("what was accepted can not be written: %v", err)
		}
		again, err := Parse("fuzz.yaml", text)
		if err != nil {
			t.Fatalf("what was accepted is refused the second time: %v\n%s", err, text)
		}
		if second, _ := json.Marshal(again); string(text) != string(second) {
			t.Errorf("loading again changed\n%s\nto\n%s", text, second)
		}
		for _, name := range parsed.Names() {
			if kind := parsed.KindName(name); len(kind) > MaxNameLength || strings.ToLower(kind) != kind {
				t.Errorf("the kind cluster would be called %q", kind)
			}
		}
		assertDisjoint(t, parsed)
		ranges, err := parsed.AllocateAddresses(netip.MustParsePrefix("172.20.0.0/16"))
		if err != nil {
			return // the file gives addresses or subnets that do not fit this network
		}
		for one, a := range ranges {
			for other, b := range ranges {
				if one != other && a.Overlaps(b) {
					t.Errorf("%s has %s and %s has %s", one, a, other, b)
				}
			}
		}
	})
}

func FuzzParseAddressRange(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "10.0.0.1-10.0.0.9", "fd00::/64", "-", "/", "::1-::"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseAddressRange(text)
		if err == nil && (r.Last.Less(r.First) || !r.Contains(r.First) || !r.Contains(r.Last)) {
			t.Errorf("%q: %s", text, r)
		}
	})
}
