// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"strings"
	"testing"

	"github.com/meshfed/meshfed/certs"
)

func TestParseCertificates(t *testing.T) {
	t.Parallel()
	one, two := makeCA(t, "one", nil, nil), makeCA(t, "two", nil, nil)
	first, second := string(certs.EncodeCertificates(one.cert)), string(certs.EncodeCertificates(two.cert))
	cases := []struct{ name, in, names, fault string }{
		{"one", first, "one", ""},
		{"in order", second + first, "two one", ""},
		{"comments in front and between", "# root of the company\n" + first + "\nsubject=two\n" + second, "one two", ""},
		{"line ends of Windows", strings.ReplaceAll(first, "\n", "\r\n"), "one", ""},
		{"no newline at the end", strings.TrimSpace(first), "one", ""},
		{"nothing", "", "", "no PEM certificate"},
		{"no PEM", "hello", "", "no PEM certificate"},
		{"the first cut off", first[:len(first)-40] + second, "", "cut off"},
		{"the last cut off", first + second[:80], "", "2 PEM blocks begin and 1 are whole"},
		{"not base64", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "", "cut off"},
		{"not a certificate inside", first + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "", "certificate 2: "},
		{"a request", strings.ReplaceAll(first, "CERTIFICATE", "CERTIFICATE REQUEST"), "", `"CERTIFICATE REQUEST" where only certificates belong`},
		{"a key", string(one.keyPEM(t)), "", "a private key where only certificates belong"},
		{"text at the end", first + "# end\n", "", "text after the last certificate"},
		{"a label without end", strings.ReplaceAll(first, "CERTIFICATE", strings.Repeat("X", 300)), "", "XXX..."},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := certs.ParseCertificates([]byte(c.in))
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v, want %q", err, c.fault)
				}
				return
			}
			must(t, err)
			var names []string
			for _, cert := range got {
				names = append(names, cert.Subject.CommonName)
			}
			if strings.Join(names, " ") != c.names {
				t.Errorf("got %v, want %s", names, c.names)
			}
		})
	}
}
