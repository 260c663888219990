// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"strings"
	"testing"
)

// problemsOf validates a topology that was changed after loading, for rules about fields that
// no file may set yet.
func problemsOf(t *testing.T, change func(*Topology)) string {
	t.Helper()
	topology := topologyOf(t, "west", "east", "north")
	change(topology)
	c := newCollector("t.yaml")
	c.validate(topology)
	return c.problems.Error()
}

// TestPrimaries: who may serve whom.
func TestPrimaries(t *testing.T) {
	t.Parallel()
	serve := func(cluster, primary, config string) func(*Topology) {
		return func(t *Topology) { t.Cluster(cluster).Primary, t.Cluster(cluster).Config = primary, config }
	}
	both := func(changes ...func(*Topology)) func(*Topology) {
		return func(t *Topology) {
			for _, change := range changes {
				change(t)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*Topology)
		want   string
	}{
		"each its own":         {func(*Topology) {}, ""},
		"one remote":           {serve("east", "west", "west"), ""},
		"two remotes":          {both(serve("east", "west", "west"), serve("north", "west", "west")), ""},
		"external":             {both(serve("west", "west", "east"), serve("east", "west", "east")), ""},
		"unknown primary":      {serve("east", "south", "south"), `spec.clusters[1].primary: there is no cluster "south" (name one of "west", "east" or "north")`},
		"unknown config":       {serve("east", "east", "south"), `spec.clusters[1].config: there is no cluster "south"`},
		"remote of a remote":   {both(serve("east", "west", "west"), serve("north", "east", "west")), `spec.clusters[2].primary: "east" is itself served by "west"`},
		"in a ring":            {both(serve("east", "west", "west"), serve("west", "east", "east")), `spec.clusters[0].primary: "east" is itself served by "west"`},
		"two configs":          {both(serve("east", "west", "east")), `spec.clusters[1].config: "east" is served by "west", whose istiod reads "west" (write config: "west")`},
		"config of the remote": {both(serve("west", "west", "east"), serve("east", "west", "west")), `spec.clusters[1].config: "east" is served by "west", whose istiod reads "east" (write config: "east")`},
		"config of its own":    {serve("west", "west", "east"), `spec.clusters[0].config: "east" is served by "east": the istiod of "west" can not read it (write primary: "west" for "east", or remove config)`},
		"served, no address": {both(serve("east", "west", "west"), func(t *Topology) { t.Cluster("west").LoadBalancer.Type = LoadBalancerNone }),
			`spec.clusters[0].loadBalancer.type: other clusters reach the istiod of "west" at an address that its load balancer gives, and it has none`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, test.change)
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPeerAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                          "",
		"https://172.20.0.2:6443":   "",
		"https://api.example.com":   "",
		"api.example.com:6443":      "",
		"172.20.0.2:6443":           "",
		"https://[fd00::2]:6443":    "",
		"api.example.com":           "is neither",
		"http://api.example.com:80": "is neither",
		"https://a:6443/path":       "is neither",
		"https://user@a:6443":       "is neither",
		"a b:6443":                  "is neither",
		"a:":                        "is neither",
		"https://127.0.0.1:6443":    "is the loopback of whoever asks",
		"https://127.8.8.8":         "is the loopback of whoever asks",
		"127.0.0.1:6443":            "is the loopback of whoever asks",
		"localhost:6443":            "is the loopback of whoever asks",
		"https://[::1]:6443":        "is the loopback of whoever asks",
		"https://0.0.0.0:6443":      "is an address to listen on",
	} {
		got := problemsOf(t, func(t *Topology) { t.Spec.Clusters[2].APIServer.PeerAddress = address })
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q gave %q, want %q", address, got, want)
		}
	}
}

// TestPodSubnetsInOneNetwork: pods of one network must differ, pods of two may not.
func TestPodSubnetsInOneNetwork(t *testing.T) {
	t.Parallel()
	pods := func(network, first, second string) func(*Topology) {
		return func(t *Topology) {
			t.Spec.Clusters[0].Network = network
			t.Spec.Clusters[0].Provider.Kind.PodSubnet, t.Spec.Clusters[1].Provider.Kind.PodSubnet = first, second
		}
	}
	for name, test := range map[string]struct {
		change func(*Topology)
		want   string
	}{
		"apart":             {pods("east-network", "10.1.0.0/16", "10.2.0.0/16"), ""},
		"same, two nets":    {pods("west-network", "10.1.0.0/16", "10.1.0.0/16"), ""},
		"same, one net":     {pods("east-network", "10.1.0.0/16", "10.1.0.0/16"), `spec.clusters[1].provider.kind.podSubnet: 10.1.0.0/16 overlaps the pods 10.1.0.0/16 of "west" in the same network "east-network"`},
		"inside, one net":   {pods("east-network", "10.1.0.0/16", "10.1.128.0/24"), "10.1.128.0/24 overlaps the pods 10.1.0.0/16"},
		"around, one net":   {pods("east-network", "10.1.128.0/24", "10.0.0.0/12"), "10.0.0.0/12 overlaps the pods 10.1.128.0/24"},
		"touching, one net": {pods("east-network", "10.1.0.0/17", "10.1.128.0/17"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := problemsOf(t, test.change)
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestOneMistakeIsToldOnce: what follows from a mistake is not told as another.
func TestOneMistakeIsToldOnce(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"misspelled clusters":  "spec: {clsters: [{name: west}]}\n",
		"misspelled spec":      "sepc: {clusters: [{name: west}]}\n",
		"clusters of no type":  "spec: {clusters: west}\n",
		"null clusters":        "spec:\n  clusters:\n",
		"null item":            "spec: {clusters: [{name: west}, null]}\n",
		"misspelled name":      "spec: {clusters: [{nam: west}]}\n",
		"bad name":             "spec: {clusters: [{name: West}]}\n",
		"twice the same":       "spec: {clusters: [{name: west}, {name: west}]}\n",
		"bad subnet":           "spec: {clusters: [{name: west, provider: {kind: {podSubnet: 10.0.0.0}}}, {name: east}]}\n",
		"huge subnet":          "spec: {clusters: [{name: west, provider: {kind: {podSubnet: 0.0.0.0/1}}}, {name: east}]}\n",
		"bad lifetime":         "spec: {clusters: [{name: west}], certificates: {root: {generate: {lifetime: soon}}}}\n",
		"bad type in provider": "spec: {clusters: [{name: west, provider: kind}]}\n",
		"unknown primary":      "spec: {clusters: [{name: west, primary: nobody}]}\n",
		"unknown role":         "spec: {clusters: [{name: west, provider: {kind: {nodes: [{role: master}]}}}]}\n",
		"two providers":        "spec: {clusters: [{name: west, provider: {kind: {}, clusterAPI: {name: a}}}]}\n",
		"Ed25519":              "spec: {clusters: [{name: west}], certificates: {intermediate: {algorithm: Ed25519}}}\n",
		"twice a chart":        "spec: {clusters: [{name: west}], istio: {charts: {directory: a, repository: b}}}\n",
		"control planes":       "spec: {clusters: [{name: west, provider: {kind: {nodes: [{}, {role: control-plane}, {role: worker}]}}}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("t.yaml", []byte(header+spec))
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("want one problem, got:\n%v", err)
			}
		})
	}
}

// TestYAMLText shows where problems of the text itself are told.
func TestYAMLText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ text, want string }{
		"nothing":            {"", "t.yaml:1:1: the file is empty ("},
		"spaces":             {"  \n\n", "t.yaml:1:1: the file is empty ("},
		"an explicit null":   {"~\n", "t.yaml:1:1: the file is empty ("},
		"only a separator":   {"---\n", "t.yaml:1:1: the file is empty ("},
		"a list":             {"\n- a\n", "t.yaml:2:1: a mapping is expected, not a list ("},
		"a key below":        {minimal + "x: &a\n", "t.yaml:5:1: x: unknown key (known here: "},
		"tab":                {"a:\n  \tb: c\n", "t.yaml:2:3: a tab is used to indent (use spaces)"},
		"NUL":                {"a: b\x00\n", "t.yaml:1:5: the character U+0000 is not allowed in YAML ("},
		"escape":             {"a: ü\x1b[31m\n", "t.yaml:1:5: the character U+001B is not allowed in YAML ("},
		"delete":             {"a\x7f", "t.yaml:1:2: the character U+007F is not allowed in YAML ("},
		"half a character":   {"a: b\nü: \xc3", "t.yaml:2:4: this is not valid UTF-8 (save the file as UTF-8)"},
		"surrogate":          {"a: \xed\xa0\x80", "t.yaml:1:4: this is not valid UTF-8"},
		"unclosed":           {"a: [b\n", "this is not YAML: "},
		"second document":    {minimal + "---\nb: c\n", "t.yaml:5:1: there is more than one document ("},
		"end and a document": {minimal + "...\n---\nb: c\n", "there is more than one document ("},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("t.yaml", []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			checkProblems(t, "t.yaml", err.(Problems)) //nolint:errorlint // the type itself is promised
		})
	}
	for name, text := range map[string]string{
		"a separator first":  "---\n" + minimal,
		"an end":             minimal + "...\n",
		"comments":           "# a\n" + minimal + "# b\n",
		"a tab in a comment": minimal + "#\ta\n",
		"JSON":               `{"apiVersion":"meshfed.io/v1alpha1","kind":"Topology","metadata":{"name":"a"},"spec":{"clusters":[{"name":"b"}]}}`,
	} {
		if _, err := Parse("t.yaml", []byte(text)); err != nil {
			t.Errorf("%s is refused: %v", name, err)
		}
	}
}

// TestKeysStayOut: a private key that is pasted anywhere appears in no message.
func TestKeysStayOut(t *testing.T) {
	t.Parallel()
	const secret = "MHcCAQEEIPlantedSecretThatMustNotAppear"
	const key = `"-----BEGIN EC PRIVATE KEY-----\n` + secret + `\n-----END EC PRIVATE KEY-----"`
	for _, path := range allPaths() {
		path = strings.ReplaceAll(path, "spec.clusters[0]", "spec.clusters[west]")
		if strings.Contains(strings.ReplaceAll(path, "[west]", ""), "[") {
			continue // an item of a list that the file does not have
		}
		_, err := Parse("t.yaml", []byte(two), path+"="+key)
		if err != nil && strings.Contains(err.Error(), "Planted") {
			t.Errorf("--set %s tells the key: %v", path, err)
		}
	}
	file := strings.ReplaceAll(string(readOf(t, "testdata/everything.yaml")), "root.key", key)
	_, err := Load(writeTemp(t, file))
	if err == nil || strings.Contains(err.Error(), "Planted") {
		t.Errorf("the file's key: %v", err)
	}
}

func writeTemp(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "t.yaml", []byte(text))
	return dir + "/t.yaml"
}

func TestLongValuesAreCut(t *testing.T) {
	t.Parallel()
	_, err := Parse("t.yaml", []byte(header+"spec: {clusters: [{name: west, network: \""+strings.Repeat("ä ", 5000)+"\"}]}\n"))
	if err == nil || len(err.Error()) > 1500 || !strings.Contains(err.Error(), "is no network name (") {
		t.Errorf("got %v", err)
	}
}
