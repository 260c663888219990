// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostMirrors(t *testing.T) {
	t.Parallel()
	const stanzas = `# our mirror
Types: deb deb-src
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
URIs: http://mirror.test/debian-security/
Suites: bookworm-security
Components: main contrib

Types: deb
URIs: http://third.test/node
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
`
	tests := []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{name: "no sources"},
		{
			name:  "deb822",
			files: map[string]string{"etc/apt/sources.list.d/debian.sources": stanzas},
			want: []string{
				"deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.test/debian bookworm main",
				"deb [signed-by=/usr/share/keyrings/debian.gpg] http://mirror.test/debian bookworm-updates main",
				"deb http://mirror.test/debian-security/ bookworm-security main",
			},
		},
		{
			name: "one line each",
			files: map[string]string{"etc/apt/sources.list": strings.Join([]string{
				"# deb http://old.test/debian bookworm main",
				"deb [arch=amd64] http://mirror.test/debian bookworm main # here",
				"deb-src http://mirror.test/debian bookworm main",
				"deb http://third.test/apt stable main",
			}, "\n")},
			want: []string{"deb [arch=amd64] http://mirror.test/debian bookworm main"},
		},
		{
			name:  "another suite",
			files: map[string]string{"etc/apt/sources.list": "deb http://mirror.test/debian trixie main\n"},
		},
		{
			name:  "updates without the suite",
			files: map[string]string{"etc/apt/sources.list": "deb http://mirror.test/debian bookworm-updates main\n"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			root, files := t.TempDir(), map[string][]byte{}
			for name, text := range test.files {
				files[name] = []byte(text)
			}
			if err := writeFiles(root, files); err != nil {
				t.Fatal(err)
			}
			got, err := hostMirrors(root)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
