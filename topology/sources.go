// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

const (
	schemeHTTP  = "http://"
	schemeHTTPS = "https://"
)

// MirrorHost splits spec.images.mirror into the registry's host, with its port, and the path
// below it, either of which may be empty. Plain says that it is spoken to without TLS: the
// mirror begins with http://, or its host is a loopback address.
func (t *Topology) MirrorHost() (host, path string, plain bool) {
	rest, plain := strings.CutPrefix(t.Spec.Images.Mirror, schemeHTTP)
	rest = strings.Trim(strings.TrimPrefix(rest, schemeHTTPS), "/")
	host, path, _ = strings.Cut(rest, "/")
	name, _, _ := cutPort(host)
	return host, path, plain || IsLoopback(name)
}

// tidy drops what means nothing, so that no user of the field has to.
func (i *Images) tidy() {
	if rest := strings.TrimSuffix(strings.TrimPrefix(i.Mirror, schemeHTTPS), "/"); rest != "" {
		i.Mirror = rest
	}
}

// tidy drops what means nothing.
func (c *Charts) tidy() { c.Repository = strings.TrimSuffix(c.Repository, "/") }

// images checks where images come from.
func (c *collector) images(images *Images) {
	const mirror, secret = "spec.images.mirror", "spec.images.pullSecret"
	if message, fix := wrongMirror(images.Mirror); message != "" {
		c.add(mirror, fmt.Sprintf("%q %s", shorten(images.Mirror), message), fix)
	}
	if images.PullSecret != "" {
		c.label(secret, images.PullSecret, "write the name of the secret")
	}
}

// charts checks where Istio's charts come from.
func (c *collector) charts(charts *Charts) {
	const path = "spec.istio.charts"
	if charts.Directory != "" && charts.Repository != "" {
		c.add(path, "directory and repository exclude each other", "keep one of them")
		return
	}
	if charts.Repository == "" {
		return
	}
	u, err := url.Parse(charts.Repository)
	const fix = "write oci://registry.example.com/charts or https://charts.example.com/istio"
	switch {
	case err != nil || !slices.Contains(chartSchemes(), u.Scheme) || !strings.HasPrefix(charts.Repository, u.Scheme+"://") || !isHost(u.Host):
		c.add(path+".repository", fmt.Sprintf("%q is no chart repository", shorten(charts.Repository)), fix)
	case u.User != nil:
		c.add(path+".repository", fmt.Sprintf("%q holds a login", shorten(charts.Repository)), "write the address without it, and log in with helm registry login or docker login")
	case strings.ContainsAny(charts.Repository, "?#") || strings.ContainsFunc(charts.Repository, unicode.IsSpace):
		c.add(path+".repository", fmt.Sprintf("%q has a query, a fragment or a space", shorten(charts.Repository)), fix)
	case u.Scheme == "oci" && !pathOfImage().MatchString(strings.TrimPrefix(u.EscapedPath(), "/")):
		c.add(path+".repository", fmt.Sprintf("%q names no folder of a registry", shorten(charts.Repository)), fix)
	}
}

// chartSchemes are the ways to fetch a chart.
func chartSchemes() []string { return []string{"oci", "http", "https"} }

// isHost accepts a domain or an IPv4 address, and a port after it.
func isHost(host string) bool {
	name, port, hasPort := cutPort(host)
	return isDomain(name) && (!hasPort || isPort(port))
}

// wrongMirror says what is wrong with a mirror, or nothing.
func wrongMirror(mirror string) (message, fix string) {
	const form = "write host[:port][/path], such as registry.example.com/mirror"
	rest := strings.TrimPrefix(mirror, schemeHTTP)
	host, path, hasPath := strings.Cut(rest, "/")
	name, port, hasPort := cutPort(host)
	switch {
	case mirror == "":
		return "", ""
	case strings.Contains(rest, "://"):
		return "has a scheme that is no registry's", form + ", with http:// before it for a registry without TLS"
	case strings.Contains(rest, "@"):
		return "holds an @; a mirror names no image and no login", form + ", and log in with docker login or podman login"
	case hasPort && !isPort(port):
		return "has a port that is none", "write a port of 1 to 65535"
	case !isDomain(name): // as IPv4 addresses are, by their letters
		return "begins with no registry's host", form
	case !hasPort && !strings.Contains(name, ".") && name != "localhost":
		// In an image's name, "registry/istio/pilot" is a path on docker.io.
		return "begins with a name that an image's name can not tell from a path", "write the host with its domain or its port, such as registry.example.com or " + name + ":5000"
	case hasPath && strings.Contains(path, ":"):
		return "has a tag; it stands before the names of all images", form
	case hasPath && !pathOfImage().MatchString(path):
		return "has a path that no image's name can have", "write lower case letters, digits, and single dots, hyphens and underscores between them, in parts separated by one slash"
	}
	return "", ""
}

func isPort(text string) bool {
	port, err := strconv.Atoi(text)
	return err == nil && text == strconv.Itoa(port) && port >= 1 && port <= 65535
}

// pathOfImage is the grammar of the part of an image's name between registry and tag
// (path-component in distribution's reference package).
func pathOfImage() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
}
