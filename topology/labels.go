// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"fmt"
	"strings"
)

const fixLabelValue = "write at most 63 letters, digits, hyphens, underscores and dots, beginning and ending with a letter or digit"

// label checks a DNS label (RFC 1123), which all names of Kubernetes objects of ours are.
func (c *collector) label(path, value, missing string) bool {
	if !c.required(path, value, missing) {
		return false
	}
	if !isLabel(value) {
		c.add(path, fmt.Sprintf("%q is no DNS label", shorten(value)),
			"write at most 63 lower case letters, digits and hyphens, beginning and ending with a letter or digit")
		return false
	}
	return true
}

// qualified checks the key of a label or annotation: an optional domain, a slash, a name.
func (c *collector) qualified(path, key string) bool {
	domain, name, ok := strings.Cut(key, "/")
	if !ok {
		name = domain
	}
	if isLabelValue(name) && (!ok || isDomain(domain)) {
		return true
	}
	c.add(path, fmt.Sprintf("%q is no key of a label or annotation", shorten(key)), "write name or domain/name, such as example.com/tier")
	return false
}

func isLabel(s string) bool {
	return len(s) <= 63 && edges(s) && !strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) || r == '_' || r >= 'A' && r <= 'Z' })
}

func isDomain(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !isLabel(part) {
			return false
		}
	}
	return len(s) <= 253
}

func isLabelValue(s string) bool {
	return len(s) <= 63 && edges(s) && !strings.ContainsFunc(s, func(r rune) bool { return !isWord(r) && r != '.' })
}

// edges says whether a name begins and ends with a letter or digit.
func edges(s string) bool {
	return s != "" && strings.Trim(s[:1], "-_.") != "" && strings.Trim(s[len(s)-1:], "-_.") != ""
}
