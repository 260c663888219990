// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package licences_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshfed/meshfed/hack/dist/licences"
)

const mit = `MIT License

Copyright (c) 2026 Somebody

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

const isc = `Copyright (c) 2026 Somebody

Permission to use, copy, modify, and distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES
WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF
MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR
ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN
ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF
OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
`

// gpl is the notice that stands in for the licence itself.
const gpl = `This program is free software: you can redistribute it and/or modify
it under the terms of the GNU General Public License as published by
the Free Software Foundation, either version 3 of the License, or
(at your option) any later version.

This program is distributed in the hope that it will be useful,
but WITHOUT ANY WARRANTY; without even the implied warranty of
MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
GNU General Public License for more details.

You should have received a copy of the GNU General Public License
along with this program.  If not, see <https://www.gnu.org/licenses/>.
`

func TestClassify(t *testing.T) {
	t.Parallel()
	apache, err := os.ReadFile("../../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, text string
		want       []string
		refused    string
	}{
		{name: "MIT", text: mit, want: []string{"MIT"}},
		{name: "our own", text: string(apache), want: []string{"Apache-2.0"}},
		{name: "two in one file", text: string(apache) + "\n\n" + mit, want: []string{"Apache-2.0", "MIT"}},
		{name: "twice the same", text: mit + "\n" + mit, want: []string{"MIT"}},
		{name: "not on the list", text: gpl, refused: "is not on the list"},
		{name: "one of two is not on the list", text: mit + gpl, refused: "is not on the list"},
		{name: "no licence", text: "All rights reserved.", refused: "want 75%"},
		{name: "empty", text: "", refused: "want 75%"},
		{name: "a licence and much that is none", text: mit + strings.Repeat("You must also send flowers to the author. ", 50), refused: "want 75%"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := licences.Classify([]byte(c.text))
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestCollect(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name     string
		files    map[string]string
		packages []string
		want     string
		found    []string
		refused  string
	}{
		{name: "in its root, with a notice", files: map[string]string{"LICENSE.md": mit, "NOTICE": "Somebody made this.", "README": "x", "a/a.go": "package a"},
			packages: []string{"a"}, want: "MIT", found: []string{"LICENSE.md", "NOTICE"}},
		{name: "copied code keeps its own", files: map[string]string{"COPYING": mit, "a/b/Licence.txt": isc, "a/b/c/c.go": "package c"},
			packages: []string{"a/b/c"}, want: "ISC AND MIT", found: []string{"COPYING", "a/b/Licence.txt"}},
		{name: "what is not linked does not count", files: map[string]string{"LICENSE": mit, "tools/LICENSE": gpl, "a/a.go": "package a"},
			packages: []string{"a"}, want: "MIT", found: []string{"LICENSE"}},
		{name: "source and documents", files: map[string]string{"LICENSE": mit, "license.go": "package a", "LICENSE.docs": gpl},
			packages: []string{""}, want: "MIT", found: []string{"LICENSE"}},
		{name: "none", files: map[string]string{"NOTICE": "Somebody made this."}, packages: []string{""}, refused: "example.org/m v1.0.0 has no licence"},
		{name: "a forbidden one in a folder that is linked", files: map[string]string{"LICENSE": mit, "a/COPYING": gpl},
			packages: []string{"a"}, refused: "example.org/m v1.0.0: a/COPYING: licence GPL"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := licences.Module{Path: "example.org/m", Version: "v1.0.0", Dir: t.TempDir()}
			for name, text := range c.files {
				file := filepath.Join(m.Dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range c.packages {
				m.Packages = append(m.Packages, filepath.Join(m.Dir, filepath.FromSlash(p)))
			}
			terms, err := licences.Collect(m)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("%s, %v", terms.Expression, err)
				}
				return
			}
			var found []string
			for _, f := range terms.Files {
				found = append(found, f.Path)
				if string(f.Text) != c.files[f.Path] {
					t.Errorf("%s has another text", f.Path)
				}
			}
			if diff := cmp.Diff(c.found, found); diff != "" || err != nil || terms.Expression != c.want {
				t.Errorf("%s, %v (-want +got):\n%s", terms.Expression, err, diff)
			}
		})
	}
}
