// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"container/heap"
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshfed/meshfed/internal/graph"
	"github.com/meshfed/meshfed/internal/run"
	"github.com/meshfed/meshfed/topology"
)

// Command is how a step is done by hand.
type Command struct {
	// Step is the step's ID, Title and Needs are its own.
	Step, Title string
	Needs       []string
	// Note says what a reader should know; empty for nothing.
	Note string
	// Shell are lines for bash; empty when nothing is to be run.
	Shell string
}

// Commands says of each step which commands it replaces, in an order in which they can be run
// one after the other. It follows from the topology alone: no engine, no cluster and no state
// is looked at, and no secret is in it.
func Commands(m *Mesh, steps []graph.Step) []Command {
	h := byHand{m: m, t: m.Topology, said: map[string]bool{}}
	var commands []Command
	for _, s := range inOrder(steps) {
		kind, where, _ := strings.Cut(s.ID, "@")
		from, to, _ := strings.Cut(where, ":")
		note, shell := h.command(kind, from, to)
		if field := unmanaged(h.t.Cluster(from), kind); field != "" {
			note, shell = "Not run: manage."+field+" is false for "+from+", so whoever owns it has made it, and up only checks it.", ""
		}
		if first := h.once("note on " + kind); !first && shell != "" {
			note = "" // what is said of one cluster holds for all
		}
		commands = append(commands, Command{Step: s.ID, Title: s.Title, Needs: s.Needs, Note: note, Shell: shell})
	}
	return commands
}

// inOrder puts each step behind what it needs and changes the order of the list no further: of
// those that can be next, the first is. A list that nobody can run, which has a circle, is told as
// it stands from there on.
func inOrder(steps []graph.Step) []graph.Step {
	index := make(map[string]int, len(steps))
	for i, s := range steps {
		index[s.ID] = i
	}
	open, neededBy := make([]int, len(steps)), make([][]int, len(steps))
	var next queue
	for i, s := range steps {
		for _, id := range s.Needs {
			if at, listed := index[id]; listed {
				open[i]++
				neededBy[at] = append(neededBy[at], i)
			}
		}
		if open[i] == 0 {
			next = append(next, i) // in order, so a heap
		}
	}
	ordered, told := make([]graph.Step, 0, len(steps)), make([]bool, len(steps))
	for next.Len() > 0 {
		i := heap.Pop(&next).(int)
		ordered, told[i] = append(ordered, steps[i]), true
		for _, later := range neededBy[i] {
			if open[later]--; open[later] == 0 {
				heap.Push(&next, later)
			}
		}
	}
	for i, s := range steps {
		if !told[i] {
			ordered = append(ordered, s)
		}
	}
	return ordered
}

// queue is a heap of indexes, the least first.
type queue []int

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i] < q[j] }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(int)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// byHand writes commands for one topology.
type byHand struct {
	m *Mesh
	t *topology.Topology
	// said holds what was said once, so that it is not said again for each cluster.
	said map[string]bool
}

// command is a note and lines of shell for a kind of step, in one cluster or between two.
func (h *byHand) command(kind, from, to string) (note, shell string) {
	switch kind {
	case "host":
		return h.host()
	case "roots":
		return "On a mesh that is there already, compare what its clusters trust:\n" +
			"  kubectl --context " + word(h.t.Context(h.m.Selected()[0])) + " -n " + topology.SystemNamespace + " get configmap " + topology.RootCertConfigMap +
			" -o jsonpath='{.data.root-cert\\.pem}' | openssl x509 -noout -fingerprint -sha256", ""
	case "root":
		return h.root()
	case "network":
		return h.network()
	case "node-image":
		return h.nodeImages()
	case "cluster":
		if h.t.Cluster(from).IsExisting() {
			return "The cluster is there already, and is only looked at. KUBECONFIG has to name its kubeconfig.", h.kubectl(from, "get", "nodes")
		}
		return h.makeCluster(h.t.Cluster(from))
	case "routes":
		return h.routes(from, to)
	case "images":
		return h.bundleImages(from)
	case "probe-image":
		return h.probeImage(from)
	case "owner":
		return h.owner(from)
	case "pull-secret":
		return h.pullSecret(from)
	case "node-labels":
		where := h.t.Cluster(from).Locality
		return "Only nodes that say no region of their own are labelled.", h.kubectl(from, "label", "nodes", "--all", topology.LabelRegion+"="+where.Region)
	case "loadbalancer":
		return h.metalLB(h.t.Cluster(from))
	case "namespace":
		return h.systemNamespace(from)
	case "namespaces":
		return h.namespaces(from)
	case "prune":
		return "Remote secrets of clusters that the file no longer has would be deleted here, and gateways and namespaces that it no longer asks for: kubectl delete secret " + topology.RemoteSecretName("NAME") +
			", helm uninstall " + topology.EastWestGateway, ""
	case "cacerts":
		return h.caCerts(from)
	case "istio-base", "istiod", "ingress", "eastwest":
		return h.chart(kind, h.t.Cluster(from))
	case "mtls":
		return h.mtls(from)
	case "expose":
		return h.expose(from)
	case "istiod-remote":
		return h.remoteIstiod(h.t.Cluster(from))
	case "injection":
		return "Nothing to run: once istiod of " + h.t.Primary(from) + " reads " + from + ", it puts its root and its webhook's authority there.", ""
	case "expose-istiod":
		return h.exposeIstiod(from)
	case "serve":
		return h.serve(from)
	case "istio-kubeconfig":
		return h.istiodKubeconfig(from, to)
	case "remote-secret":
		return h.remoteSecret(from, to)
	case "synced":
		return "Every istiod of " + from + " must say `synced` of " + to + "; up asks each replica until it does.",
			command("istioctl", "--context", h.t.Context(from), "remote-clusters")
	}
	return "Up does this by itself; there is no command for it.", ""
}

// Script writes commands as one commented script for bash.
func Script(m *Mesh, commands []Command) string {
	name := m.Topology.Metadata.Name
	var b strings.Builder
	b.WriteString("#!/usr/bin/env bash\n")
	comment(&b, "What `meshfed up` does for topology "+name+", as the commands that its steps replace.")
	b.WriteString("#\n")
	comment(&b, "It is for reading and learning. up looks before each step and does only what is missing, does what can be done at once at once, "+
		"waits until each thing works and says what keeps it, and can be run again at any time; this script does everything once, in order, from nothing, on a host that needs no adjustment. "+
		"up also labels all that it makes, so that down finds it. No secret is in here: keys are made when it runs, in a folder of its own.")
	b.WriteString("#\n")
	comment(&b, "It takes docker or podman, kind, kubectl, helm, openssl, and istioctl "+m.Topology.IstioRelease()+".")
	fmt.Fprintf(&b, `set -euo pipefail
ENGINE=${ENGINE:-docker} # or podman
OWNER=$(openssl rand -hex 8) # tells this mesh from another one of the same name
umask 077
mkdir -p %[1]s && cd %[1]s
export KUBECONFIG=$PWD/kubeconfig
`, word(name+"-by-hand"))
	for i, c := range commands {
		fmt.Fprintf(&b, "\n# --- %d/%d %s: %s\n", i+1, len(commands), c.Step, c.Title)
		if len(c.Needs) > 0 {
			comment(&b, "(needs "+strings.Join(c.Needs, ", ")+")")
		}
		for line := range strings.Lines(c.Note) {
			comment(&b, strings.TrimSuffix(line, "\n"))
		}
		b.WriteString(c.Shell)
	}
	b.WriteString("\n# --- and then the proof, which has no such commands: meshfed verify\n")
	return b.String()
}

// once says whether a thing is said for the first time.
func (h *byHand) once(what string) bool {
	before := h.said[what]
	h.said[what] = true
	return !before
}

// columns is how wide comments and commands may be before they are broken.
const columns = 100

// comment writes text as comment lines; what begins with a blank is code and is not broken.
func comment(b *strings.Builder, text string) {
	if strings.HasPrefix(text, " ") {
		fmt.Fprintf(b, "# %s\n", text)
		return
	}
	line := "#"
	for w := range strings.FieldsSeq(text) {
		if len(line)+1+len(w) > columns && line != "#" {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + w
	}
	b.WriteString(line + "\n")
}

// command is a command line, broken before flags where it is long, with each value of Helm on a
// line of its own.
func command(words ...string) string {
	for i := range words {
		words[i] = word(words[i])
	}
	if line := strings.Join(words, " "); len(line) <= columns {
		return line + "\n"
	}
	var text strings.Builder
	line := words[0]
	for at := 1; at < len(words); {
		end := at + 1 // a flag keeps what follows it
		for end < len(words) && !strings.HasPrefix(strings.TrimLeft(words[end], `'"`), "-") {
			end++
		}
		group := strings.Join(words[at:end], " ")
		if at > 1 && (len(line)+1+len(group) > columns-2 || strings.HasPrefix(group, "--set")) {
			text.WriteString(line + " \\\n")
			line = " "
		}
		line += " " + group
		at = end
	}
	return text.String() + line + "\n"
}

// The words that the shell shall fill in.
const (
	engineWord  = `"$ENGINE"`
	ownerLabel  = `"` + topology.LabelOwner + `=$OWNER"`
	ownerRecord = `"--from-literal=owner=$OWNER"`
)

// word quotes what a shell would take apart, but for the words that it shall fill in.
func word(w string) string {
	if w == engineWord || w == ownerLabel || w == ownerRecord {
		return w
	}
	return run.ShellWord(w)
}

// here is a command that reads text from the script itself.
func here(command, text string) string {
	return strings.TrimSuffix(command, "\n") + " <<'EOF'\n" + strings.TrimSuffix(text, "\n") + "\nEOF\n"
}

func lines(commands ...string) string { return strings.Join(commands, "") }

func (h *byHand) kubectl(cluster string, words ...string) string {
	return command(append([]string{"kubectl", "--context", h.t.Context(cluster)}, words...)...)
}

// firstSubnet is the container network that up takes where nothing on the host is in the way.
func firstSubnet() netip.Prefix { return netip.MustParsePrefix("10.90.0.0/24") }

// addresses is a cluster's range in that network.
func (h *byHand) addresses(c *topology.Cluster) []string {
	ranges, err := h.t.AllocateAddresses(firstSubnet())
	if err != nil { // the file wants another network, or addresses of another one
		return c.LoadBalancer.Addresses
	}
	return []string{ranges[c.Name].String()}
}
