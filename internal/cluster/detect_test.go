// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"errors"
	"testing"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

func TestFindEngine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		have       []string
		want, fail string
	}{
		"podman":      {have: []string{"podman"}, want: "podman"},
		"both":        {have: []string{"docker", "podman"}, want: "podman"},
		"docker only": {have: []string{"docker"}, fail: "Docker comes with the next release"},
		"nothing":     {fail: "podman is not in PATH"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := findEngine(func(name string) (string, error) {
				for _, h := range test.have {
					if h == name {
						return "/usr/bin/" + name, nil
					}
				}
				return "", errors.New("not found")
			})
			if test.fail == "" {
				if err != nil || got != test.want {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			refused(t, err, test.fail, "apt-get install -y podman")
			if !errors.Is(err, ErrNoEngine) {
				t.Errorf("%v is no ErrNoEngine", err)
			}
		})
	}
}

func TestReadEngine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ out, fails, want string }{
		"good":    {out: `{"store": {"graphRoot": "/data"}, "version": {"Version": "4.3.1"}}`},
		"old":     {out: `{"store": {"graphRoot": "/data"}, "version": {"Version": "3.0.1"}}`, want: "podman 3.0.1 is too old"},
		"broken":  {fails: "Error: cannot open storage", want: "cannot open storage"},
		"garbage": {out: "hello", want: "reading what podman says of itself"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var f Facts
			err := f.readEngine(t.Context(), &clustertest.Engine{Answers: []clustertest.Answer{{To: "info", Out: test.out, Fails: test.fails}}})
			if test.want != "" {
				refused(t, err, test.want, "")
				return
			}
			if err != nil || f.EngineVersion != "4.3.1" || f.StorageRoot != "/data" {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
}

func TestHasCapability(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]bool{
		"Name:\tx\nCapBnd:\t000001ffffffffff\n": true,
		"Name:\tx\nCapBnd:\t000001fffeffffff\n": false,
		"Name:\tx\n":                            true,
		"CapBnd:\tnonsense\n":                   true,
	} {
		if got := hasCapability(status, capSysResource); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}

func TestFreeDiskOfAFolderThatIsYetToBeMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	have, err := freeDisk(dir)
	if err != nil || have == 0 {
		t.Fatalf("%d, %v", have, err)
	}
	if got, err := freeDisk(dir + "/a/b"); err != nil || got == 0 {
		t.Errorf("%d, %v", got, err)
	}
}
