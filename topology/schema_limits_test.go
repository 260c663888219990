// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// schemaLimits says of fields what their types do not: what must be there, ranges and forms.
// An empty string is accepted where it means the default.
func schemaLimits() map[string]func(*jsonschema.Schema) {
	const (
		label      = `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`
		domain     = label + `(\.` + label + `)*`
		labelValue = `[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?`
		octet      = `(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])`
		ipv4       = octet + `(\.` + octet + `){3}`
		tag        = `:[A-Za-z0-9_.-]{1,128}`
		digest     = `@[a-z0-9]+:[0-9a-f]{32,}`
		part       = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
		port       = `:[0-9]{1,5}`
		cluster    = "spec.clusters[*]"
		kind       = cluster + ".provider.kind"
	)
	versions := strings.ReplaceAll(strings.Join(KubernetesVersions(), "|"), ".", `\.`)
	needs := func(keys ...string) func(*jsonschema.Schema) { return func(s *jsonschema.Schema) { s.Required = keys } }
	form := func(pattern string) func(*jsonschema.Schema) {
		return func(s *jsonschema.Schema) { s.Pattern = "^(" + pattern + ")$" }
	}
	orEmpty := func(pattern string) func(*jsonschema.Schema) { return form(pattern + "|") }
	between := func(least, most int) func(*jsonschema.Schema) {
		return func(s *jsonschema.Schema) {
			s.Minimum, s.Maximum = json.Number(strconv.Itoa(least)), json.Number(strconv.Itoa(most))
		}
	}
	items := func(least, most int) func(*jsonschema.Schema) {
		return func(s *jsonschema.Schema) {
			l, m := uint64(least), uint64(most)
			s.MinItems, s.MaxItems = &l, &m
			if least == 0 {
				s.MinItems = nil
			}
		}
	}
	keys := func(s *jsonschema.Schema) {
		s.PropertyNames = &jsonschema.Schema{Pattern: "^(" + domain + "/)?" + labelValue + "$"}
	}
	named := func(most int, not ...string) func(*jsonschema.Schema) {
		return func(s *jsonschema.Schema) {
			orEmpty(label)(s)
			m := uint64(most)
			s.MaxLength = &m
			if len(not) > 0 {
				s.Not = &jsonschema.Schema{Enum: []any{not[0]}}
			}
		}
	}
	// With the shortest other name and a hyphen.
	short := func(s *jsonschema.Schema) { most := uint64(MaxNameLength - 2); s.MaxLength = &most }
	atMostOne := func(s *jsonschema.Schema) { one := uint64(1); s.MaxProperties = &one }
	return map[string]func(*jsonschema.Schema){
		"":                           needs("apiVersion", "kind", "metadata", "spec"),
		"metadata":                   needs("name"),
		"metadata.name":              func(s *jsonschema.Schema) { form(label)(s); short(s) },
		"spec":                       needs("clusters"),
		"spec.mesh.id":               orEmpty(labelValue),
		"spec.mesh.trustDomain":      form(domain),
		"spec.images.mirror":         orEmpty(`(https?://)?(localhost|` + label + port + `|` + label + `(\.` + label + `)+(` + port + `)?)(/` + part + `)*/?`),
		"spec.images.pullSecret":     orEmpty(label),
		"spec.istio.version":         orEmpty(`(` + strings.ReplaceAll(strings.Join(IstioMinors(), "|"), ".", `\.`) + `)\.(0|[1-9][0-9]{0,3})(-(alpha|beta|rc)\.[0-9]{1,3})?`),
		"spec.istio.profile":         orEmpty(strings.Join(Profiles(), "|")),
		"spec.istio.revision":        named(maxRevision, "default"),
		"spec.istio.tag":             named(maxTag),
		"spec.istio.clusterLocal[*]": form(`((\*|` + label + `)\.` + label + `|\*)\.svc\.cluster\.local`),
		"spec.namespaces[*]":         needs("name"),
		"spec.namespaces[*].name": func(s *jsonschema.Schema) {
			form(label)(s)
			s.Not = &jsonschema.Schema{Pattern: "^(kube-.*|" + SystemNamespace + "|" + MetalLBNamespace + ")$"}
		},
		cluster + ".eastWest.hosts[*]": form(`\*|\*\.` + domain + `|` + label + `(\.` + label + `)+`),
		"spec.istio.charts": func(s *jsonschema.Schema) {
			said := uint64(1)
			both := jsonschema.NewProperties()
			both.Set("directory", &jsonschema.Schema{MinLength: &said})
			both.Set("repository", &jsonschema.Schema{MinLength: &said})
			s.Not = &jsonschema.Schema{Required: []string{"directory", "repository"}, Properties: both}
		},
		"spec.istio.charts.repository": orEmpty(`oci://` + domain + `(` + port + `)?(/` + part + `)+/?|https?://` + domain + `(` + port + `)?(/[^?#\s]*)?`),
		"spec.containerNetwork": func(s *jsonschema.Schema) {
			orEmpty(`[A-Za-z0-9][A-Za-z0-9_.-]{0,62}`)(s)
			s.Not = &jsonschema.Schema{Enum: []any{"bridge", "host", "none", "default", "podman", "private", "pasta", "slirp4netns"}}
		},
		"spec.clusters":                           items(1, MaxItems),
		cluster:                                   needs("name"),
		cluster + ".name":                         func(s *jsonschema.Schema) { form(label)(s); short(s) },
		cluster + ".network":                      orEmpty(labelValue),
		cluster + ".provider":                     atMostOne,
		cluster + ".locality":                     zoned,
		cluster + ".locality.region":              orEmpty(labelValue),
		cluster + ".locality.zone":                orEmpty(labelValue),
		kind + ".kubernetes":                      orEmpty(`(` + versions + `)\.(0|[1-9][0-9]{0,3})|[A-Za-z0-9._:\[\]-]+(/[a-z0-9._-]+)+(` + tag + `|(` + tag + `)?` + digest + `)`),
		kind + ".podSubnet":                       orEmpty(ipv4 + `/(` + strconv.Itoa(minPodBits) + `|9|1[0-9]|2[0-4])`),
		kind + ".serviceSubnet":                   orEmpty(ipv4 + `/(1[2-9]|2[0-6])`),
		kind + ".nodes":                           items(0, 1+maxWorkers),
		kind + ".nodes[*].locality":               zoned,
		kind + ".nodes[*].locality.region":        orEmpty(labelValue),
		kind + ".nodes[*].locality.zone":          orEmpty(labelValue),
		kind + ".ports[*]":                        needs("host", "node"),
		kind + ".ports[*].host":                   between(1, 65535),
		kind + ".ports[*].node":                   between(30000, 32767),
		kind + ".patches[*]":                      func(s *jsonschema.Schema) { s.Pattern = `\S` },
		cluster + ".loadBalancer.addresses[*]":    form(ipv4 + `(/([0-9]|[12][0-9]|3[0-2])|\s*-\s*` + ipv4 + `)`),
		cluster + ".ingress.hostPorts.http":       between(0, 65535),
		cluster + ".ingress.hostPorts.https":      between(0, 65535),
		cluster + ".eastWest.service.annotations": keys,
		kind + ".nodes[*].labels": func(s *jsonschema.Schema) {
			keys(s)
			s.AdditionalProperties.Pattern = "^(" + labelValue + "|)$"
			s.PropertyNames.Not = &jsonschema.Schema{Enum: []any{LabelRegion, LabelZone}}
		},
		cluster + ".eastWest.replicas": between(1, 100),
		"spec.verify.suites[*]": func(s *jsonschema.Schema) {
			for _, suite := range Suites() {
				s.Enum = append(s.Enum, suite)
			}
		},
		"spec.verify.suites":              func(s *jsonschema.Schema) { s.UniqueItems = true },
		"spec.verify.failover.rate":       between(1, 1000),
		"spec.verify.failover.lostAtMost": between(0, 100000),
		"spec.verify.probe.namespace": func(s *jsonschema.Schema) {
			form(label)(s)
			s.Not = &jsonschema.Schema{Enum: []any{"default", "kube-system", "kube-public", "kube-node-lease", SystemNamespace, MetalLBNamespace}}
		},
		"spec.verify.probe.image": form(`\S*`),
	}
}

// zoned refuses a zone without its region; an empty one says nothing.
func zoned(s *jsonschema.Schema) {
	said := uint64(1)
	zone, region := jsonschema.NewProperties(), jsonschema.NewProperties()
	zone.Set("zone", &jsonschema.Schema{MinLength: &said})
	region.Set("region", &jsonschema.Schema{MinLength: &said})
	s.If = &jsonschema.Schema{Required: []string{"zone"}, Properties: zone}
	s.Then = &jsonschema.Schema{Required: []string{"region"}, Properties: region}
}
