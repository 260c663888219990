// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/meshfed/meshfed/internal/cluster"
)

// registriesPath is where containerd looks for what it shall know of a registry, each time it
// pulls: the default since containerd 2.2, and set in kind's node images from 0.27 on.
const registriesPath = "/etc/containerd/certs.d"

// registryPattern matches host[:port], and nothing that means something to a shell or a path.
const registryPattern = `^[a-zA-Z0-9_][a-zA-Z0-9._-]*(:[0-9]+)?$`

// hostsFile is the hosts.toml of a registry. The server is asked and nobody else.
func hostsFile(r cluster.Registry) (string, error) {
	if ok, err := regexp.MatchString(registryPattern, r.Host); err != nil || !ok {
		return "", fmt.Errorf("registry %q is no host[:port]", r.Host)
	}
	server := r.Server
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		// What it is may hold a password.
		return "", fmt.Errorf("the server of registry %s is no http or https URL of a host without a user", r.Host)
	}
	base := u.Scheme + "://" + u.Host
	prefix := strings.Trim(u.EscapedPath(), "/")
	if prefix == "" {
		return fmt.Sprintf("server = %[1]q\n\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n", base), nil
	}
	// With a path the API's own goes first: names are below it.
	return fmt.Sprintf("server = %[1]q\n\n[host.%[1]q]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n",
		base+"/v2/"+prefix), nil
}

// writeRegistries tells containerd in every node where to pull from. It is idempotent, and
// containerd need not be started again.
func (p *Provider) writeRegistries(ctx context.Context, s cluster.Spec) error {
	return onEach(nodeNames(s), func(node string) error {
		for _, r := range s.Registries {
			text, err := hostsFile(r)
			if err != nil {
				return err
			}
			dir := registriesPath + "/" + r.Host
			err = p.feed(ctx, node, text, fmt.Sprintf("mkdir -p %[1]s && cat > %[1]s/hosts.new && mv %[1]s/hosts.new %[1]s/hosts.toml", dir))
			if err != nil {
				return fmt.Errorf("telling %s where registry %s is: %w", node, r.Host, err)
			}
		}
		return nil
	})
}
