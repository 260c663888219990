// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package support

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshfed/meshfed/internal/kube"
	"github.com/meshfed/meshfed/internal/kube/kubetest"
)

const system = "istio-system"

// planted is a key and a token, and what of them must be seen nowhere.
func planted(t *testing.T) (key, token string, parts []string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	key = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	encode := base64.RawURLEncoding.EncodeToString
	token = encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"sub":"planted-subject"}`)) + "." + encode(der)
	return key, token, []string{strings.Split(key, "\n")[1][10:40], strings.Split(token, ".")[2][10:40], "hunter2hunter2",
		base64.StdEncoding.EncodeToString([]byte(key))[60:100]}
}

// fakeCluster has one istiod, one gateway and a secret, with secrets in every place.
func fakeCluster(t *testing.T, name, key, token string) *kubetest.Cluster {
	t.Helper()
	pod := func(name, container string, labels map[string]string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name, Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: container, Env: []corev1.EnvVar{
				{Name: "DB_PASSWORD", Value: "hunter2hunter2"}, {Name: "REVISION", Value: "default"}}}}},
			Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: container, RestartCount: 1}}}}
	}
	elsewhere := pod("edge-1", "istio-proxy", map[string]string{"istio": "ingress"})
	elsewhere.Namespace = "edge"
	c := kubetest.New(t, name, elsewhere,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: system, Labels: map[string]string{"topology.istio.io/network": name}}},
		pod("istiod-1", "discovery", map[string]string{"app": "istiod"}), pod("gateway-1", "istio-proxy", map[string]string{"istio": "eastwestgateway"}),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "cacerts", Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: `{"data":{"ca-key.pem":"` + base64.StdEncoding.EncodeToString([]byte(key)) + `"}}`}},
			Data: map[string][]byte{"ca-key.pem": []byte(key)}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "istio"}, Data: map[string]string{"mesh": "password: hunter2hunter2\n" + key}},
	)
	admin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"page":"`+r.URL.Path+`","inline_string":`+string(quoted(key))+`}`)
	})
	c.Log("started\nAuthorization: Bearer " + token + "\n" + key)
	c.Forwards(t, map[string]http.Handler{
		system + "/istiod-1:15014": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"page":"`+r.URL.Path+`","token":"`+token+`"}`)
		}),
		system + "/gateway-1:15000": admin, "edge/edge-1:15000": admin,
	})
	return c
}

func quoted(s string) []byte {
	data, _ := json.Marshal(s)
	return data
}

// unpacked are the files of a bundle, without its folder.
func unpacked(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(plain); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		folder, path, _ := strings.Cut(h.Name, "/")
		if folder != "meshfed-support-usmesh" || h.Mode != 0o600 {
			t.Errorf("%s has mode %o", h.Name, h.Mode)
		}
		files[path] = string(data)
	}
}

func TestABundleHoldsWhatHelpsAndNoSecret(t *testing.T) {
	t.Parallel()
	key, token, parts := planted(t)
	west, east := fakeCluster(t, "west", key, token), fakeCluster(t, "east", key, token)
	east.Fail("list", "ServiceList", "", errors.New("services are forbidden, says "+token), 0)
	runs := t.TempDir()
	for _, run := range []string{"1-up", "2-up", "3-up", "4-up", "5-up", "6-verify"} {
		if err := os.Mkdir(filepath.Join(runs, run), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(runs, run, "log"), []byte("run "+run+"\nAuthorization: Bearer "+token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "out.tar.gz")
	if err := os.WriteFile(name, []byte("an older one"), 0o644); err != nil {
		t.Fatal(err)
	}
	index, err := Write(t.Context(), name, Sources{Tool: "v1", Topology: "usmesh", Clients: map[string]*kube.Client{"west": west.Client, "east": east.Client},
		Files: map[string][]byte{"findings.json": []byte(`{"findings":[],"token":"` + token + `"}`)}, Runs: runs, Missing: []Missing{{"north", "everything", "there is no client for north"}}})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the bundle is %v, %v", info.Mode(), err)
	}
	files := unpacked(t, name)
	for path, text := range files {
		for _, part := range parts {
			if strings.Contains(text, part) {
				t.Errorf("%s shows a planted secret: %s", path, text)
			}
		}
		if strings.HasSuffix(path, ".json") && !json.Valid([]byte(text)) {
			t.Errorf("%s is no JSON: %s", path, text)
		}
	}
	for path, words := range map[string]string{
		"index.json": `"kind": "SupportBundle"`, "findings.json": `"findings":[]`, "runs/6-verify/log": "run 6-verify", "runs/2-up/log": "run 2-up",
		"clusters/west/secrets.json": `"name": "cacerts"`, "clusters/west/objects/namespace.json": `"topology.istio.io/network": "west"`,
		"clusters/west/objects/istio-system/pod.json":                  `"value": "default"`,
		"clusters/west/objects/istio-system/configmap.json":            `"name": "istio"`,
		"clusters/east/pods/istio-system/istiod-1/debug-clusterz.json": `"page":"/debug/clusterz"`,
		"clusters/east/pods/edge/edge-1/certs.json":                    `"page":"/certs"`,
		"clusters/east/pods/istio-system/gateway-1/config_dump.json":   `"page":"/config_dump"`,
		"clusters/west/logs/istio-system/istiod-1/discovery.log":       "started", "clusters/west/logs/istio-system/gateway-1/istio-proxy.previous.log": "started",
	} {
		if !strings.Contains(files[path], words) {
			t.Errorf("%s does not hold %s: %q", path, words, files[path])
		}
	}
	if files["runs/1-up/log"] != "" || len(files) != len(index.Files)+1 {
		t.Errorf("there are %d files, the index has %d", len(files), len(index.Files))
	}
	if !strings.Contains(files["clusters/west/objects/istio-system/pod.json"], `"value": "[redacted]"`) {
		t.Error("the value of DB_PASSWORD is not blotted out")
	}
	for _, m := range []Missing{{"north", "everything", "no client"}, {"east", "objects/service.json", "forbidden"}} {
		found := false
		for _, got := range index.Missing {
			found = found || got.Cluster == m.Cluster && got.What == m.What && strings.Contains(got.Why, m.Why)
		}
		if !found {
			t.Errorf("%s of %s is not among what is missing: %v", m.What, m.Cluster, index.Missing)
		}
	}
}

func TestABundleThatCanNotBeWrittenLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken.tar.gz"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dir, "none", "x.tar.gz"), filepath.Join(dir, "taken.tar.gz")} {
		if _, err := Write(t.Context(), name, Sources{Topology: "usmesh"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Write(ended, filepath.Join(dir, "x.tar.gz"), Sources{Topology: "usmesh"}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestAClusterThatDoesNotAnswerIsAskedOnce(t *testing.T) {
	t.Parallel()
	c := kubetest.New(t, "west")
	c.Fail("list", "", "", errors.New("connection refused"), 0)
	index, err := Write(t.Context(), filepath.Join(t.TempDir(), "x.tar.gz"), Sources{Topology: "usmesh", Clients: map[string]*kube.Client{"west": c.Client}})
	if err != nil || len(index.Missing) != 1 || index.Missing[0].What != "everything" || !strings.Contains(index.Missing[0].Why, "connection refused") {
		t.Errorf("%v, %v", index, err)
	}
}

func TestWhatIsTooLargeIsLeftOut(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "x.tar.gz")
	index, err := Write(t.Context(), name, Sources{Topology: "usmesh", Files: map[string][]byte{"large.txt": make([]byte, maxFile+1), "small.txt": []byte("small")}})
	if err != nil || len(index.Files) != 1 || len(index.Missing) != 1 || index.Missing[0].What != "large.txt" {
		t.Errorf("%v, %v", index, err)
	}
}
