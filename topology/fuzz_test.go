// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// FuzzParse holds Parse to its promises for any bytes and any --set argument: it does not
// panic, every problem has a place and a fix, and what it accepts is accepted by the schema, can
// be written, is accepted again and can be given addresses.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/wrong/*.yaml", "testdata/good/*.yaml", "../examples/*/topology.yaml"} {
		for _, file := range globOf(f, pattern) {
			data := readOf(f, file)
			argument := ""
			if sets := setsIn(data); len(sets) > 0 {
				argument = sets[0]
			}
			f.Add(data, argument)
		}
	}
	s := compiled(f)
	f.Fuzz(func(t *testing.T, data []byte, argument string) {
		var set []string
		if argument != "" {
			set = []string{argument}
		}
		start := time.Now()
		parsed, err := Parse("fuzz.yaml", data, set...)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("Parse took %s for %d bytes", took, len(data))
		}
		if err != nil {
			problems, ok := err.(Problems) //nolint:errorlint // the type itself is promised
			if !ok {
				t.Fatalf("the error is a %T", err)
			}
			checkProblems(t, "fuzz.yaml", problems)
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
	})
}
