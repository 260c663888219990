//go:build e2e

// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/meshfed/meshfed/topology"
)

// collectSecrets remembers every key and token that exists now, so that noSecrets can look
// for them wherever the program writes.
func (m *mesh) collectSecrets() {
	m.t.Helper()
	key, err := os.ReadFile(filepath.Join(m.state, m.name, "pki", "root.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.remember(key)
	for _, cluster := range []string{"west", "east"} {
		c := m.client(cluster)
		var secret corev1.Secret
		if err := c.Get(contextFor(m.t, time.Minute), client.ObjectKey{Namespace: system, Name: topology.CACertsSecret}, &secret); err != nil {
			m.t.Fatal(err)
		}
		m.remember(secret.Data["ca-key.pem"])
		var remote corev1.SecretList
		if err := c.List(contextFor(m.t, time.Minute), &remote, client.InNamespace(system), client.MatchingLabels{topology.LabelMultiCluster: "true"}); err != nil {
			m.t.Fatal(err)
		}
		for _, s := range remote.Items {
			for _, data := range s.Data {
				config, err := clientcmd.Load(data)
				if err != nil {
					m.t.Fatal(err)
				}
				for _, user := range config.AuthInfos {
					m.secrets = append(m.secrets, user.Token)
				}
			}
		}
		m.secrets = append(m.secrets, base64.StdEncoding.EncodeToString(c.REST.KeyData)[:60])
		m.remember(c.REST.KeyData)
	}
	if len(m.secrets) < 6 {
		m.t.Fatalf("only %d secrets were found to look for", len(m.secrets))
	}
}

// remember keeps the first full line of a PEM block's content, which no one else has.
func (m *mesh) remember(pem []byte) {
	for line := range strings.Lines(string(pem)) {
		if line = strings.TrimSpace(line); len(line) == 64 {
			m.secrets = append(m.secrets, line)
			return
		}
	}
	m.t.Fatalf("no key was found in %d bytes", len(pem))
}

// watchArguments collects the command lines of all processes of this host until it is
// stopped, so that noSecrets can look through them.
func (m *mesh) watchArguments() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
			for _, file := range files {
				if data, err := os.ReadFile(file); err == nil && len(data) > 0 {
					m.arguments[string(data)] = true
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// noSecrets hunts for the remembered keys and tokens in everything that was printed, in the
// command lines of all processes that were seen while the program ran, and in every file but
// those that are there to hold them.
func noSecrets(t *testing.T, m *mesh) {
	found := func(where string, data []byte) {
		for i, secret := range m.secrets {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("secret %d is in %s", i, where)
			}
		}
	}
	found("the output of some command", m.captured.Bytes())
	if len(m.arguments) == 0 {
		t.Error("no command line was seen")
	}
	for arguments := range m.arguments {
		found("the command line "+strings.ReplaceAll(arguments, "\x00", " "), []byte(arguments))
	}
	err := filepath.WalkDir(m.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 && filepath.Base(path) != "containers.conf" {
			t.Errorf("%s has mode %o, readable by others", path, mode)
		}
		if strings.Contains(path, "/pki/") || strings.Contains(path, "/kubeconfig/") {
			return nil
		}
		data, err := os.ReadFile(path)
		found(path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
