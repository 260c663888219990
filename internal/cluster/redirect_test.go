// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// natRules are what iptables-save printed on a host where an earlier run was killed: port 31701
// leads to 10.90.1.19, which is gone, before it leads to 10.90.2.5.
const natRules = `*nat
:PREROUTING ACCEPT [0:0]
:NETAVARK-DN-8D9B5311824A5 - [0:0]
:NETAVARK-HOSTPORT-DNAT - [0:0]
-A OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT
-A NETAVARK-DN-8D9B5311824A5 -d 127.0.0.1/32 -p tcp -m tcp --dport 31701 -j DNAT --to-destination 10.90.1.19:32080
-A NETAVARK-DN-8D9B5311824A5 -s 10.90.2.0/24 -d 127.0.0.1/32 -p tcp -m tcp --dport 31701 -j NETAVARK-HOSTPORT-SETMARK
-A NETAVARK-DN-8D9B5311824A5 -d 127.0.0.1/32 -p tcp -m tcp --dport 31700 -j DNAT --to-destination 10.90.2.4:32080
-A NETAVARK-DN-8D9B5311824A5 -d 127.0.0.1/32 -p tcp -m tcp --dport 31701 -j DNAT --to-destination 10.90.2.5:32080
-A NETAVARK-DN-0EA9C66833221 -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.90.1.20:80
-A NETAVARK-HOSTPORT-DNAT -p tcp -m tcp --dport 31701 -m comment --comment "dnat name: meshfed-mfe2e id: c868d366a7b2" -j NETAVARK-DN-8D9B5311824A5
-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 31701 -j DNAT --to-destination 172.18.0.9:32080
COMMIT
`

func TestStaleRedirects(t *testing.T) {
	t.Parallel()
	at := func(addr string) Container {
		return Container{Networks: map[string]netip.Addr{"meshfed-mfe2e": netip.MustParseAddr(addr)}}
	}
	// Linux numbers no process above 2^22 (PID_MAX_LIMIT).
	ended, alive := at("10.90.1.19"), at("10.90.1.19")
	ended.State, ended.PID = "running", 1<<22+1
	alive.State, alive.PID = "running", os.Getpid()
	stale := "NETAVARK-DN-8D9B5311824A5 -d 127.0.0.1/32 -p tcp -m tcp --dport 31701 -j DNAT --to-destination 10.90.1.19:32080"
	for name, test := range map[string]struct {
		ports      []int
		containers []Container
		want       []string
	}{
		"the old one of two":               {[]int{31700, 31701}, []Container{at("10.90.2.4"), at("10.90.2.5")}, []string{stale}},
		"somebody has the address":         {[]int{31701}, []Container{at("10.90.1.19"), at("10.90.2.5")}, nil},
		"a port that is none of ours":      {[]int{31700}, []Container{at("10.90.2.4")}, nil},
		"nothing runs":                     {[]int{31700}, nil, []string{strings.ReplaceAll(strings.ReplaceAll(stale, "31701", "31700"), "10.90.1.19", "10.90.2.4")}},
		"no address is no container's own": {[]int{31701}, []Container{{Networks: map[string]netip.Addr{"x": {}}}, at("10.90.2.5")}, []string{stale}},
		"one without a process has none":   {[]int{31701}, []Container{ended, at("10.90.2.5")}, []string{stale}},
		"one with a process has it":        {[]int{31701}, []Container{alive, at("10.90.2.5")}, nil},
	} {
		var got []string
		for _, rule := range staleRedirects(natRules, test.ports, test.containers) {
			got = append(got, strings.Join(rule, " "))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDropStaleRedirectsBesideAnother takes a rule away that another run took away between the
// listing and the removal, as two runs side by side do.
func TestDropStaleRedirectsBesideAnother(t *testing.T) {
	for name, test := range map[string]struct {
		later string
		fails bool
	}{
		"somebody else removed it": {"*nat\nCOMMIT\n", false},
		"it is still there":        {natRules, true},
	} {
		dir := t.TempDir()
		write := func(name, text string, mode os.FileMode) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
				t.Fatal(err)
			}
		}
		write("1", natRules, 0o600)
		write("2", test.later, 0o600)
		write("iptables-save", "#!/bin/sh\nn=1; [ -e \""+dir+"/listed\" ] && n=2; : > \""+dir+"/listed\"; cat \""+dir+"/$n\"\n", 0o700)
		write("iptables", "#!/bin/sh\necho 'iptables: Bad rule (does a matching rule exist in that chain?).' >&2; exit 1\n", 0o700)
		write("podman", "#!/bin/sh\nexit 0\n", 0o700)
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		err := DropStaleRedirects(t.Context(), Podman{}, []int{31701})
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", name, err)
		}
	}
}
