// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package certs_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/meshfed/meshfed/certs"
)

// authority is a CA made without the package, so that it can be wrong.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// make signs an authority; a nil parent makes a root. change spoils the template.
func makeCA(t testing.TB, cn string, parent *authority, change func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: cn},
		NotBefore: now().Add(-time.Hour), NotAfter: now().Add(year),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	a := &authority{key: key}
	signer, by := template, key
	if parent != nil {
		signer, by = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, by)
	must(t, err)
	a.cert, err = x509.ParseCertificate(der)
	must(t, err)
	return a
}

func (a *authority) keyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// bundle is the cacerts of ca with the issuers given, the last of them the root.
func (a *authority) bundle(t testing.TB, issuers ...*authority) *certs.CACerts {
	t.Helper()
	chain := []*x509.Certificate{a.cert}
	for _, i := range issuers {
		chain = append(chain, i.cert)
	}
	return &certs.CACerts{
		CACert: certs.EncodeCertificates(a.cert), CAKey: a.keyPEM(t),
		RootCert: certs.EncodeCertificates(chain[len(chain)-1]), CertChain: certs.EncodeCertificates(chain...),
	}
}

func pathLength(n int) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
}

func ends(at time.Time) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.NotAfter = at }
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	root := makeCA(t, "root", nil, nil)
	policy := makeCA(t, "policy", root, pathLength(1))
	deep := makeCA(t, "west", policy, pathLength(0)).bundle(t, policy, root)
	withoutRoot := makeCA(t, "west", root, nil).bundle(t, root)
	withoutRoot.CertChain = withoutRoot.CACert
	rotating := makeCA(t, "west", root, nil).bundle(t, root)
	rotating.RootCert = append(certs.EncodeCertificates(makeCA(t, "new root", nil, nil).cert), rotating.RootCert...)
	spaced := makeCA(t, "west", root, nil).bundle(t, root)
	spaced.CACert = append(spaced.CACert, '\n', '\n')
	for name, c := range map[string]*certs.CACerts{
		"a corporate CA in between": deep, "a chain without its root": withoutRoot,
		"two roots while rotating": rotating, "blank lines at the end": spaced,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			must(t, c.Check(now()))
			signer, err := c.RootCertificate()
			must(t, err)
			if !signer.Equal(root.cert) {
				t.Errorf("the root is said to be %s", signer.Subject)
			}
		})
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	root, stranger := makeCA(t, "root", nil, nil), makeCA(t, "stranger", nil, nil)
	twin := makeCA(t, "root", nil, nil) // same subject, another key
	west, east := makeCA(t, "west", root, nil), makeCA(t, "east", root, nil)
	leafOnly := makeCA(t, "west", root, func(c *x509.Certificate) { c.IsCA = false })
	noSign := makeCA(t, "west", root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	narrow := makeCA(t, "narrow root", nil, pathLength(0))
	policy := makeCA(t, "policy", root, pathLength(0))
	expired := makeCA(t, "west", root, ends(now().Add(-time.Minute)))
	oldRoot := makeCA(t, "old root", nil, ends(now().Add(-time.Minute)))
	oldPolicy := makeCA(t, "old policy", root, ends(now().Add(-time.Minute)))
	future := makeCA(t, "west", root, func(c *x509.Certificate) { c.NotBefore = now().Add(time.Hour) })
	good := func() *certs.CACerts { return west.bundle(t, root) }
	change := func(c *certs.CACerts, f func(*certs.CACerts)) *certs.CACerts { f(c); return c }
	pemOf := func(all ...*authority) []byte {
		var out []byte
		for _, a := range all {
			out = append(out, certs.EncodeCertificates(a.cert)...)
		}
		return out
	}
	cases := []struct {
		name string
		c    *certs.CACerts
		want []string
	}{
		{"wrong root", change(good(), func(c *certs.CACerts) { c.RootCert = pemOf(stranger) }), []string{"cert-chain.pem ends in", "CN=root", "CN=stranger", certs.Fingerprint(stranger.cert)[:19]}},
		{"wrong root of the same name", change(good(), func(c *certs.CACerts) { c.RootCert = pemOf(twin); c.CertChain = pemOf(west, twin) }), []string{"is not signed by", certs.Fingerprint(twin.cert)[:19]}},
		{"wrong root, chain without it", change(good(), func(c *certs.CACerts) { c.RootCert = pemOf(stranger); c.CertChain = pemOf(west) }), []string{"signed by \"CN=root\"", "CN=stranger"}},
		{"swapped key", change(good(), func(c *certs.CACerts) { c.CAKey = east.keyPEM(t) }), []string{"ca-key.pem is not the key of ca-cert.pem", "CN=west"}},
		{"chain of another cluster", change(good(), func(c *certs.CACerts) { c.CertChain = pemOf(east, root) }), []string{"cert-chain.pem begins with", "CN=east", "CN=west"}},
		{"chain upside down", change(good(), func(c *certs.CACerts) { c.CertChain = pemOf(root, west) }), []string{"cert-chain.pem begins with", "CN=root"}},
		{"root twice", change(good(), func(c *certs.CACerts) { c.CertChain = pemOf(west, root, root) }), []string{"cert-chain.pem holds", "CN=root", "twice"}},
		{"stranger behind the root", change(good(), func(c *certs.CACerts) { c.CertChain = pemOf(west, root, stranger) }), []string{"CN=stranger"}},
		{"no authority", leafOnly.bundle(t, root), []string{"ca-cert.pem", "no certificate authority"}},
		{"may not sign", noSign.bundle(t, root), []string{"ca-cert.pem", "keyCertSign"}},
		{"the root's own key in the cluster", root.bundle(t), []string{"ca-cert.pem", "is a root itself"}},
		{"path length of a root", makeCA(t, "west", narrow, nil).bundle(t, narrow), []string{"narrow root", "path length is 0 and 1 authorities"}},
		{"path length in between", makeCA(t, "west", policy, nil).bundle(t, policy, root), []string{"policy", "path length is 0 and 1 authorities"}},
		{"path length of a root that is not in the chain", change(makeCA(t, "west", narrow, nil).bundle(t, narrow), func(c *certs.CACerts) { c.CertChain = c.CACert }), []string{"root-cert.pem", "path length is 0"}},
		{"expired", expired.bundle(t, root), []string{"ca-cert.pem", "CN=west", "expired on 2026-09-01T11:59:00Z"}},
		{"expired root", makeCA(t, "west", oldRoot, nil).bundle(t, oldRoot), []string{"root-cert.pem", "old root", "expired"}},
		{"expired in between", makeCA(t, "west", oldPolicy, nil).bundle(t, oldPolicy, root), []string{"cert-chain.pem", "old policy", "expired"}},
		{"not yet", future.bundle(t, root), []string{"begins on 2026-09-01T13:00:00Z", "now is 2026-09-01T12:00:00Z"}},
		{"two faults at once", change(expired.bundle(t, root), func(c *certs.CACerts) { c.CAKey = east.keyPEM(t) }), []string{"expired", "is not the key of"}},
		{"truncated certificate", change(good(), func(c *certs.CACerts) { c.CACert = c.CACert[:len(c.CACert)-30] }), []string{"ca-cert.pem", "cut off"}},
		{"truncated chain", change(good(), func(c *certs.CACerts) { c.CertChain = c.CertChain[:len(c.CertChain)-30] }), []string{"cert-chain.pem", "2 PEM blocks begin and 1 are whole"}},
		{"truncated key", change(good(), func(c *certs.CACerts) { c.CAKey = c.CAKey[:60] }), []string{"ca-key.pem", "cut off"}},
		{"key in a certificate file", change(good(), func(c *certs.CACerts) { c.CACert = append(c.CACert, c.CAKey...) }), []string{"ca-cert.pem", "private key where only certificates belong"}},
		{"certificate in the key's place", change(good(), func(c *certs.CACerts) { c.CAKey = c.CACert }), []string{"ca-key.pem", `"CERTIFICATE" where a private key belongs`}},
		{"chain in the certificate's place", change(good(), func(c *certs.CACerts) { c.CACert = c.CertChain }), []string{"ca-cert.pem", "2 certificates where one belongs"}},
		{"text at the end", change(good(), func(c *certs.CACerts) { c.CertChain = append(c.CertChain, "end of file"...) }), []string{"cert-chain.pem", "text after the last certificate"}},
		{"key under another label", change(good(), func(c *certs.CACerts) { c.CAKey = bytes.ReplaceAll(c.CAKey, []byte("PRIVATE"), []byte("EC PRIVATE")) }), []string{"ca-key.pem", "damaged EC PRIVATE KEY"}},
		{"encrypted key", change(good(), func(c *certs.CACerts) {
			c.CAKey = bytes.ReplaceAll(c.CAKey, []byte("PRIVATE"), []byte("ENCRYPTED PRIVATE"))
		}), []string{"ca-key.pem", "encrypted"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.c.Check(now())
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			for line := range strings.Lines(string(c.c.CAKey)) {
				if len(line) > 40 && !bytes.Contains(c.c.CACert, []byte(line)) && strings.Contains(err.Error(), strings.TrimSpace(line)) {
					t.Errorf("the error shows the key: %v", err)
				}
			}
		})
	}
}

func TestCheckKnowsTheEdgesOfTime(t *testing.T) {
	t.Parallel()
	c := newCACerts(t, newRoot(t), "west")
	end := now().Add(caLifetime)
	for at, ok := range map[time.Time]bool{
		now(): true, now().Add(-30 * time.Second): true, now().Add(-2 * time.Minute): false,
		end.Add(-time.Second): true, end.Add(time.Second): false,
	} {
		if err := c.Check(at); (err == nil) != ok {
			t.Errorf("at %s: %v", at, err)
		}
	}
}

func TestParseCACertsNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	good := newCACerts(t, newRoot(t), "west").Data()
	for _, gone := range [][]string{{"ca-cert.pem"}, {"ca-key.pem"}, {"root-cert.pem"}, {"cert-chain.pem"}, {"ca-key.pem", "root-cert.pem"}} {
		data := maps.Clone(good)
		for i, file := range gone {
			delete(data, file)
			if i > 0 {
				data[file] = []byte{} // empty is as bad as absent
			}
		}
		_, err := certs.ParseCACerts(data)
		if err == nil || !strings.Contains(err.Error(), "missing or empty: "+strings.Join(gone, ", ")) {
			t.Errorf("without %v: %v", gone, err)
		}
	}
	if _, err := certs.ParseCACerts(nil); err == nil {
		t.Error("no data was accepted")
	}
	data := maps.Clone(good)
	data["ca-cert.pem"], data["ca-key.pem"] = []byte("x"), []byte("y")
	_, err := certs.ParseCACerts(data)
	if err == nil || !strings.Contains(err.Error(), "ca-cert.pem: no PEM") || !strings.Contains(err.Error(), "ca-key.pem: no whole PEM") {
		t.Errorf("both faults must be named: %v", err)
	}
}

func FuzzParseCACerts(f *testing.F) {
	c := newCACerts(f, newRoot(f), "west")
	f.Add(c.CACert, c.CAKey, c.RootCert, c.CertChain)
	f.Add(c.CACert[:100], c.CAKey[:50], c.RootCert, c.CACert)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), c.RootCert, []byte("\n"), []byte{0})
	f.Fuzz(func(t *testing.T, ca, key, root, chain []byte) {
		got, err := certs.ParseCACerts(map[string][]byte{
			"ca-cert.pem": ca, "ca-key.pem": key, "root-cert.pem": root, "cert-chain.pem": chain,
		})
		if err != nil {
			return
		}
		// What parses can be asked for and checked; it may be wrong but must not crash.
		if _, err := got.Intermediate(); err != nil {
			t.Errorf("parsed, and then: %v", err)
		}
		if _, err := got.RootCertificate(); err != nil {
			t.Errorf("parsed, and then: %v", err)
		}
		_ = got.Check(now())
		_ = got.String()
	})
}
