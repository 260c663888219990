// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/cluster/clustertest"
	"github.com/meshfed/meshfed/topology"
)

// TestMain lets the test binary play the child process.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "fake" {
		os.Exit(fakeChild(os.Args[2]))
	}
	if len(os.Args) > 1 && os.Args[1] == ChildArgument {
		if err := ChildMain(context.Background(), os.Args[2:], os.Stdin, os.Stdout, os.Stderr); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// fakeChild is kind as the tests want it.
func fakeChild(behave string) int {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		fmt.Println(errorPrefix + err.Error())
		return 1
	}
	if behave == "refuse" {
		fmt.Println(errorPrefix + "kind refuses")
		return 1
	}
	fmt.Println("preparing nodes")
	fmt.Println(nodesRun)
	switch behave {
	case "fail":
		fmt.Fprintln(os.Stderr, "a line of the debug log")
		fmt.Println(errorPrefix + "kubeadm said no")
		return 1
	case "port":
		fmt.Println(errorPrefix + "docker: Bind for 127.0.0.1:31000 failed: port is already allocated.")
		return 1
	case "crash":
		panic("kind has a bug")
	case "hang":
		sleep := exec.Command("sleep", "60")
		if err := sleep.Start(); err != nil {
			return 1
		}
		fmt.Println("sleeping", sleep.Process.Pid)
		time.Sleep(time.Minute)
	}
	fmt.Println("starting control-plane")
	return 0
}

// fakeProvider is a Provider on a fake engine, whose child behaves as told.
func fakeProvider(t *testing.T, behave string, answers ...clustertest.Answer) (*Provider, *clustertest.Engine, *states) {
	t.Helper()
	e := &clustertest.Engine{Answers: append(answers, clustertest.Answer{To: "image inspect", Out: "{}"})}
	seen := &states{}
	p := New(e, cluster.Facts{}, "meshfed-lab", map[string]string{topology.LabelTopology: "lab", topology.LabelOwner: "o1"})
	p.Dir, p.Command = t.TempDir(), []string{os.Args[0], "fake", behave}
	p.Observe = func(_ context.Context, _, state string) { seen.add(state) }
	return p, e, seen
}

// states collects what a Provider reports.
type states struct {
	mu   sync.Mutex
	list []string
}

func (s *states) add(state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, state)
}

func (s *states) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.list...)
}

// inspect is what podman says of a control-plane container.
func inspect(name, state, network string, port int) string {
	return fmt.Sprintf(`[{"Id": "id-%[1]s", "Name": "%[1]s-control-plane", "State": {"Status": %[2]q}, "Config": {"Labels": {"io.x-k8s.kind.cluster": %[1]q}},
		"NetworkSettings": {"Networks": {%[3]q: {"IPAddress": "10.90.0.2"}}, "Ports": {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "%[4]d"}]}}}]`, name, state, network, port)
}

// exists answers as a host with that one container.
func exists(state, network string, port int) []clustertest.Answer {
	return []clustertest.Answer{{To: "ps", Out: "id"}, {To: "container inspect", Out: inspect("lab-west", state, network, port)},
		{To: "volume ls", Out: "[]"}}
}

// nothing answers as a host without containers.
func nothing() []clustertest.Answer {
	return []clustertest.Answer{{To: "ps", Out: ""}, {To: "volume ls", Out: "[]"}}
}

// recorded is what a whole cluster holds: its record and its kubeconfig.
func recorded(t *testing.T, s cluster.Spec, kubeconfig string) clustertest.Answer {
	t.Helper()
	return recordedAs(t, record{Spec: s}, kubeconfig)
}

func recordedAs(t *testing.T, r record, kubeconfig string) clustertest.Answer {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return clustertest.Answer{To: "exec lab-west-control-plane sh -c cat " + recordPath, Out: string(data) + "\n" + kubeconfig}
}

// copied is the record as it is copied out of a container that does not run.
func copied(t *testing.T, r record) clustertest.Answer {
	t.Helper()
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	err = w.WriteHeader(&tar.Header{Name: "meshfed.json", Mode: 0o600, Size: int64(len(data))})
	_, werr := w.Write(data)
	if err = errors.Join(err, werr, w.Close()); err != nil {
		t.Fatal(err)
	}
	return clustertest.Answer{To: "cp lab-west-control-plane:" + recordPath, Out: archive.String()}
}

// apiServer is an API server that is ready, with a kubeconfig as kubeadm writes it.
func apiServer(t *testing.T, status int) (port int, kubeconfig string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(u.Port()); err != nil {
		t.Fatal(err)
	}
	var ca bytes.Buffer
	if err := pem.Encode(&ca, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	return port, adminKubeconfig(t, ca.Bytes(), "planted-token")
}

func adminKubeconfig(t *testing.T, ca []byte, token string) string {
	t.Helper()
	c := api.NewConfig()
	c.Clusters["kubernetes"] = &api.Cluster{Server: "https://lab-west-control-plane:6443", CertificateAuthorityData: ca}
	c.AuthInfos["kubernetes-admin"] = &api.AuthInfo{Token: token}
	c.Contexts["kubernetes-admin@kubernetes"] = &api.Context{Cluster: "kubernetes", AuthInfo: "kubernetes-admin"}
	c.CurrentContext = "kubernetes-admin@kubernetes"
	data, err := clientcmd.Write(*c)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
