// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimal = header + "spec: {clusters: [{name: west}]}\n"

func TestLoadNamesTheFileThatItCanNotRead(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for path, want := range map[string]string{
		filepath.Join(folder, "none.yaml"): "none.yaml: can not be read: no such file or directory (name a readable topology file with -f)",
		folder:                             "can not be read: is a directory (name a readable topology file with -f)",
	} {
		_, err := Load(path)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("Load(%s) gave %v, want ... %s", path, err, want)
		}
	}
}

// TestReadStreams: what is read resolves the files that it names against the given folder, and
// --set works as for files.
func TestReadStreams(t *testing.T) {
	t.Parallel()
	text := header + "spec: {clusters: [{name: west}], istio: {charts: {directory: charts-flat}}}\n"
	got, err := Read("<stdin>", strings.NewReader(text), "testdata", "spec.clusters[west].network=blue")
	if err != nil {
		t.Fatal(err)
	}
	if got.Dir != "testdata" || got.Spec.Clusters[0].Network != "blue" {
		t.Errorf("Dir is %q, the network %q", got.Dir, got.Spec.Clusters[0].Network)
	}
	for what, test := range map[string]struct {
		from io.Reader
		want string
	}{
		"elsewhere": {strings.NewReader(text), `<stdin>:4:62: spec.istio.charts.directory: "charts-flat" can not be read: `},
		"nothing":   {strings.NewReader(""), "<stdin>:1:1: the file is empty ("},
		"too much":  {strings.NewReader(strings.Repeat("#", MaxFileSize+1)), "<stdin>:1:1: the file is larger than 1048576 bytes ("},
		"broken":    {iotest.ErrReader(errors.New("the pipe broke")), "<stdin>: can not be read: the pipe broke ("},
	} {
		if _, err := Read("<stdin>", test.from, "."); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%s gave %v, want %s...", what, err, test.want)
		}
	}
}

func TestLoadRefusesLargeFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "large.yaml")
	padding := func(size int) []byte {
		return append([]byte(minimal), append([]byte("#"), bytes.Repeat([]byte("x"), size-len(minimal)-1)...)...)
	}
	if err := os.WriteFile(file, padding(MaxFileSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err != nil {
		t.Errorf("1 MiB is refused: %v", err)
	}
	if err := os.WriteFile(file, padding(MaxFileSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), ":1:1: the file is larger than 1048576 bytes (") {
		t.Errorf("more than 1 MiB gave %v", err)
	}
}

// TestHugeInputsAreQuick: what one person pastes into a file does not hang the program.
func TestHugeInputsAreQuick(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown keys": header + "spec:\n" + strings.Repeat("  clusterz_and_more_of_it: {}\n", 30000),
		"depth":        header + "spec: {istio: {values: {a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}}}\n",
		"values":       header + "spec:\n  clusters: [{name: west}]\n  istio:\n    values:\n      a: [" + strings.Repeat("{b: c}, ", 100000) + "]\n",
		"aliases":      header + "a: &a [x]\nb: [" + strings.Repeat("*a, ", 200000) + "]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := Parse("a.yaml", []byte(text))
			if name == "values" && err != nil {
				t.Errorf("long lists of values are refused: %v", err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestProblemsAreInFileOrder(t *testing.T) {
	t.Parallel()
	got := Problems{
		{File: "--set a=b", Message: "m", Fix: "f"},
		{File: "t.yaml", Line: 3, Column: 1, Message: "m", Fix: "f"},
		{File: "t.yaml", Line: 2, Column: 9, Path: "spec.x", Message: "m", Fix: "f"},
		{File: "t.yaml", Line: 2, Column: 4, Message: "m", Fix: "f"},
		{Path: "spec.y", Message: "m", Fix: "f"},
	}.sorted().Error()
	want := "t.yaml:2:4: m (f)\nt.yaml:2:9: spec.x: m (f)\nt.yaml:3:1: m (f)\nspec.y: m (f)\n--set a=b: m (f)"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParent(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"spec": "", "spec.mesh": "spec", "spec.clusters[1]": "spec.clusters", "spec.clusters[1].name": "spec.clusters[1]",
		`a.labels["x.y/z"]`: "a.labels", `a.labels["x.y/z"].b`: `a.labels["x.y/z"]`, "": "", `["x"]`: "",
	} {
		if got := parent(path); got != want {
			t.Errorf("parent(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"name", "network", "podSubnet", "eastWest", "primary"}
	for word, want := range map[string]string{
		"nam": "name", "Name": "name", "netwrok": "network", "podsubnet": "podSubnet", "pod_subnet": "podSubnet",
		"eastwest": "eastWest", "east-west": "eastWest", "primry": "primary", "secondary": "", "x": "", "": "",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDurationText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"720h": "720h", "10s": "10s", "60s": "1m", "1h30m": "1h30m", "90m": "1h30m", "1h0m5s": "1h0m5s", "0s": "0s", "500ms": "500ms", "100m": "1h40m", "10m": "10m",
	} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if d.String() != want {
			t.Errorf("%s is written %s, want %s", text, d, want)
		}
		var again Duration
		if err := again.UnmarshalText([]byte(d.String())); err != nil || again != d {
			t.Errorf("%s is read as %v, %v", d, again, err)
		}
	}
	if err := new(Duration).UnmarshalText([]byte("10")); err == nil {
		t.Error("10 is a duration")
	}
}

// TestServiceSubnetsInOneNetwork: the one warning, which needs a network that is shared.
func TestServiceSubnetsInOneNetwork(t *testing.T) {
	t.Parallel()
	topology := topologyOf(t, "west", "east")
	for i := range topology.Spec.Clusters {
		topology.Spec.Clusters[i].Network = "flat"
		topology.Spec.Clusters[i].Provider.Kind.ServiceSubnet = "10.96.0.0/16"
	}
	c := newCollector("a.yaml")
	c.validate(topology)
	if len(c.problems) > 0 {
		t.Errorf("problems: %v", c.problems)
	}
	if got := c.warnings.Error(); !strings.Contains(got, `spec.clusters[1].provider.kind.serviceSubnet: 10.96.0.0/16 overlaps the services 10.96.0.0/16 of "west" in the same network "flat"`) {
		t.Errorf("warnings: %q", got)
	}
}

// TestRootFiles looks at keys and certificates although the field is refused for now.
func TestRootFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := writePair(t, dir, "root")
	writePair(t, dir, "other")
	write(t, dir, "broken.pem", []byte("-----BEGIN CERTIFICATE-----\nTUhjQ0FRRUVJ\n-----END CERTIFICATE-----\n"))
	for name, test := range map[string]struct{ certificate, key, want string }{
		"match":          {"root.pem", "root.key", ""},
		"absolute":       {filepath.Join(dir, "root.pem"), filepath.Join(dir, "root.key"), ""},
		"other key":      {"root.pem", "other.key", `root.files.key: "other.key" is not the key of "root.pem"`},
		"swapped":        {"root.key", "root.pem", `root.files.certificate: "root.key" holds no PEM certificate`},
		"broken":         {"broken.pem", "root.key", `holds a certificate that can not be parsed`},
		"missing":        {"none.pem", "none.key", `root.files.certificate: "none.pem" can not be read: no such file`},
		"no certificate": {"", "root.key", "root.files.certificate: it is missing or empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml")
			write(t, dir, filepath.Base(file), []byte(header+"spec:\n  clusters: [{name: west}]\n  certificates: {root: {files: {certificate: '"+test.certificate+"', key: '"+test.key+"'}}}\n"))
			_, err := Load(file)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("Load gave %v", err)
			}
			checkProblems(t, file, problems)
			if !strings.Contains(err.Error(), "roots of your own are planned") {
				t.Errorf("the refusal is missing: %v", err)
			}
			if test.want == "" && len(problems) > 1 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the key is told: %v", err)
			}
			if _, err := Parse(file, readOf(t, file)); strings.Contains(err.Error(), "can not be read") {
				t.Errorf("Parse read a file: %v", err)
			}
		})
	}
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// writePair writes a certificate and its key, and returns a line of the key.
func writePair(t *testing.T, dir, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	write(t, dir, name+".key", text)
	write(t, dir, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	return strings.Split(string(text), "\n")[1]
}
