// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"github.com/meshfed/meshfed/internal/images"
)

// namespace makes a namespace where the first of several steps needs it.
func (h *byHand) namespace(cluster, name string) string {
	if !h.once("namespace " + name + " in " + cluster) {
		return ""
	}
	return h.kubectl(cluster, "create", "namespace", name)
}

// pullSecret are the commands that give pods the login by which nodes pull. The login comes
// from the environment of whoever runs them, and from there into a file: on a command line
// everybody on the host could read it.
func (h *byHand) pullSecret(name string) (note, shell string) {
	host, _, _ := h.t.MirrorHost()
	key := host
	if host == "" {
		host, key = "docker.io", "https://index.docker.io/v1/"
	}
	if h.once("login") {
		shell = ": \"${REGISTRY_USER:?the name of somebody who may pull from " + host + "}\"\n" +
			": \"${REGISTRY_PASSWORD:?and the password or access token for it}\"\n" +
			`printf '{"auths": {"%s": {"auth": "%s"}}}\n' ` + word(key) + " \\\n" +
			`  "$(printf '%s' "$REGISTRY_USER:$REGISTRY_PASSWORD" | base64 | tr -d '\n')" > login.json` + "\n"
	}
	for _, secret := range h.m.pullSecrets(name, h.m.install()) {
		shell += h.namespace(name, secret.Namespace) +
			h.kubectl(name, "create", "secret", "docker-registry", h.t.Spec.Images.PullSecret, "--namespace", secret.Namespace, "--from-file=.dockerconfigjson=login.json")
	}
	return "The login for " + host + ", where nodes pull, in each namespace whose pods are the mesh's own. up takes it from what docker login or podman login left on this host; " +
		"here it is read from REGISTRY_USER and REGISTRY_PASSWORD.", shell
}

// bundleImages are the commands that bring the images of a bundle into the nodes of a cluster.
func (h *byHand) bundleImages(name string) (note, shell string) {
	kindName := h.t.KindName(name)
	if h.once("bundle") {
		shell = "BUNDLE=${BUNDLE:-${XDG_CACHE_HOME:-$HOME/.cache}/meshfed/bundle} # the whole path of its folder\n" +
			`tar -C "$BUNDLE/images" -cf bundle.tar .` + "\n"
	}
	shell += command("kind", "load", "image-archive", "bundle.tar", "--name", kindName)
	// The file's mirror has the same images under names of its own.
	published := *h.t
	published.Spec.Images.Mirror = ""
	held, wanted := images.Published(&published, h.m.kubernetes(name)), h.m.images(name)
	held.Probe, wanted.Probe = "", "" // a bundle calls it after its source
	tags := ""
	for i, own := range held.Workloads() {
		if to := wanted.Workloads()[i]; to != own {
			tags += `  "$ENGINE" exec "$node" ctr --namespace k8s.io images tag --force ` + word(own) + " " + word(to) + "\n"
		}
	}
	if tags != "" {
		shell += `for node in $(kind get nodes --name ` + word(kindName) + "); do\n" + tags + "done\n"
	}
	return "The images of a bundle (`meshfed bundle show` says what it holds) into every node, which then pulls none of them.", shell
}

// probeImage are the commands that compile the probe, which nobody publishes for a program that
// was not released, and bring it into the nodes of a cluster.
func (h *byHand) probeImage(name string) (note, shell string) {
	probe := h.m.builtProbe(name)
	if h.once("probe " + probe) {
		shell = lines(
			command("mkdir", "-p", "probe"),
			`CGO_ENABLED=0 GOBIN=$PWD/probe go install github.com/meshfed/meshfed/cmd/meshfed-probe@latest`+"\n",
			here("cat > probe/Dockerfile", "FROM scratch\nCOPY meshfed-probe /meshfed-probe\nENTRYPOINT [\"/meshfed-probe\"]"),
			command(engineWord, "build", "--tag", probe, "probe"),
			command(engineWord, "save", "--output", "probe.tar", probe))
	}
	return "The probe of verify, compiled here because no registry has it. up has its source inside the program and needs no network for it.",
		shell + command("kind", "load", "image-archive", "probe.tar", "--name", h.t.KindName(name))
}
