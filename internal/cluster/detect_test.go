// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"

	"github.com/meshfed/meshfed/internal/cluster/clustertest"
)

func TestReadPodman(t *testing.T) {
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
			err := f.readPodman(t.Context(), &clustertest.Engine{Answers: []clustertest.Answer{{To: "info", Out: test.out, Fails: test.fails}}})
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

func TestReadPodmanOfAnotherHost(t *testing.T) {
	t.Parallel()
	f := restricted()
	f.Root = false
	out := `{"host": {"arch": "arm64", "cgroupVersion": "v2", "serviceIsRemote": true, "security": {"rootless": false}},
		"store": {"graphRoot": "/data"}, "version": {"Version": "5.4.0"}}`
	if err := f.readPodman(t.Context(), &clustertest.Engine{Answers: []clustertest.Answer{{To: "info", Out: out}}}); err != nil {
		t.Fatal(err)
	}
	if f = f.withoutHost(); !f.Remote || !f.Root || f.CgroupV1 || f.Arch != "arm64" || f.Adjustments() != nil || f.containersConf() != "" {
		t.Errorf("%+v adjusts %q", f, f.Adjustments())
	}
}

// here is the machine that testdata/docker-info.json was recorded on.
func here() machine {
	return machine{os: "linux", kernel: "6.1.0-40-amd64", exists: func(path string) bool { return path == "/var/lib/docker" }}
}

func TestReadDocker(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*dockerInfo, *machine)
		remote bool
		want   string
	}{
		"this host":       {},
		"its socket":      {change: func(i *dockerInfo, _ *machine) { i.endpoint = "unix:///var/run/docker.sock" }},
		"tcp":             {change: func(i *dockerInfo, _ *machine) { i.endpoint = "tcp://lab:2376" }, remote: true},
		"ssh":             {change: func(i *dockerInfo, _ *machine) { i.endpoint = "ssh://lab" }, remote: true},
		"Docker Desktop":  {change: func(i *dockerInfo, _ *machine) { i.OperatingSystem = "Docker Desktop" }, remote: true},
		"a Mac":           {change: func(_ *dockerInfo, m *machine) { m.os = "darwin" }, remote: true},
		"another kernel":  {change: func(i *dockerInfo, _ *machine) { i.KernelVersion = "6.6.12-linuxkit" }, remote: true},
		"a mounted sock":  {change: func(_ *dockerInfo, m *machine) { m.exists = func(string) bool { return false } }, remote: true},
		"rootless":        {change: func(i *dockerInfo, _ *machine) { i.SecurityOptions = []string{"name=seccomp", "name=rootless"} }, remote: true},
		"oldest":          {change: func(i *dockerInfo, _ *machine) { i.ServerVersion = "20.10.0" }},
		"too old":         {change: func(i *dockerInfo, _ *machine) { i.ServerVersion = "19.03.15" }, want: "docker 19.03.15 is too old: 20.10 or newer"},
		"very old":        {change: func(i *dockerInfo, _ *machine) { i.ServerVersion = "1.13.1" }, want: "too old"},
		"no version":      {change: func(i *dockerInfo, _ *machine) { i.ServerVersion = "dev" }, want: "too old"},
		"podman's socket": {change: func(i *dockerInfo, _ *machine) { i.ServerVersion = "4.3.1" }, want: "what answers docker is podman 4.3.1"},
		"Windows":         {change: func(i *dockerInfo, _ *machine) { i.OSType = "windows" }, want: "containers of windows"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := parseDockerInfo(fixture(t, "docker-info.json"))
			if err != nil {
				t.Fatal(err)
			}
			m, f := here(), Facts{Engine: docker}
			if test.change != nil {
				test.change(&info, &m)
			}
			err = f.readDocker(info, m)
			if test.want != "" {
				refused(t, err, test.want, "")
				return
			}
			if err != nil || f.Remote != test.remote || f.StorageRoot != "/var/lib/docker" || f.Arch != "amd64" || !f.CgroupV1 || f.Runtime != "runc" {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
	if _, err := parseDockerInfo("hello"); err == nil {
		t.Error("garbage was read")
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
