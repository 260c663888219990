// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"time"
)

// description is all that is ever printed of a value that holds a private key.
type description struct {
	Subject     string    `json:"subject"`
	Fingerprint string    `json:"fingerprint"`
	Root        string    `json:"root,omitempty"`
	NotAfter    time.Time `json:"notAfter"`
}

func describe(cert, root *x509.Certificate) description {
	d := description{Subject: "none", Fingerprint: Fingerprint(cert)}
	if cert != nil {
		d.Subject, d.NotAfter = cert.Subject.String(), cert.NotAfter.UTC()
	}
	if root != nil {
		d.Root = Fingerprint(root)
	}
	return d
}

func (d description) String() string {
	s := d.Subject + " " + d.Fingerprint
	if d.Root != "" {
		s += " under " + d.Root
	}
	return s
}

func (c CACerts) describe() description {
	// Unreadable certificates describe as "none": printing is no place for their errors.
	cert, _ := c.Intermediate()
	root, _ := c.RootCertificate()
	return describe(cert, root)
}

// String names the intermediate and its root by fingerprint.
func (c CACerts) String() string { return "cacerts " + c.describe().String() }

// GoString is String: %#v shows no key either.
func (c CACerts) GoString() string { return c.String() }

// Format is String for every verb.
func (c CACerts) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, c.String()) }

// MarshalJSON writes subject, fingerprints and end; the files are in Data.
func (c CACerts) MarshalJSON() ([]byte, error) { return json.Marshal(c.describe()) }

// String names the root by fingerprint.
func (r Root) String() string { return "root " + describe(r.Certificate, nil).String() }

// GoString is String: %#v shows no key either.
func (r Root) GoString() string { return r.String() }

// Format is String for every verb.
func (r Root) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, r.String()) }

// MarshalJSON writes subject, fingerprint and end.
func (r Root) MarshalJSON() ([]byte, error) { return json.Marshal(describe(r.Certificate, nil)) }
