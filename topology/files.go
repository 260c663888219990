// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// checkFiles looks at the local files that the topology names.
func (c *collector) checkFiles(t *Topology) {
	c.chartDirectory(t.Dir, &t.Spec.Istio)
	c.kubeconfigs(t)
	root := t.Spec.Certificates.Root
	if root.Files != nil {
		c.keyPair(t.Dir, "spec.certificates.root.files", root.Files)
	}
	if root.KMS != nil {
		c.certificate(t.Dir, "spec.certificates.root.kms.certificate", root.KMS.Certificate)
	}
	if signed := t.Spec.Certificates.Intermediate.Files; signed != nil {
		const path = "spec.certificates.intermediate.files.directory"
		if c.required(path, signed.Directory, "write the folder of the signed intermediates") {
			if info, err := os.Stat(resolve(t.Dir, signed.Directory)); err != nil {
				c.add(path, show(signed.Directory)+" can not be read: "+reason(err), "name a folder that exists; relative paths count from the topology file")
			} else if !info.IsDir() {
				c.add(path, show(signed.Directory)+" is no folder", "name the folder that holds one folder for each control plane")
			}
		}
	}
}

// chartDirectory looks for the charts that are installed from a folder.
func (c *collector) chartDirectory(dir string, i *Istio) {
	const path, fix = "spec.istio.charts.directory", "name the folder that holds the charts base, istiod and gateway; relative paths count from the topology file"
	charts := i.Charts.Directory
	if charts == "" {
		return
	}
	folder := resolve(dir, charts)
	if info, err := os.Stat(folder); err != nil {
		c.add(path, show(charts)+" can not be read: "+reason(err), fix)
		return
	} else if !info.IsDir() {
		c.add(path, show(charts)+" is no folder", fix)
		return
	}
	var missing []string
	found := map[string]string{}
	for _, names := range [][]string{{"base"}, {"istiod", "istio-control/istio-discovery"}, {"gateway"}} {
		at := slices.IndexFunc(names, func(name string) bool {
			info, err := os.Stat(filepath.Join(folder, filepath.FromSlash(name), "Chart.yaml"))
			return err == nil && info.Mode().IsRegular()
		})
		if at < 0 {
			missing = append(missing, names[0])
			continue
		}
		found[names[0]] = filepath.FromSlash(names[at])
	}
	if len(missing) > 0 {
		c.add(path, show(charts)+" holds no chart "+orList(missing), fix)
		return
	}
	c.chartFolders(folder, i, found)
}

// show quotes a file's name, which may be a key that was pasted there by mistake.
func show(file string) string { return strconv.Quote(shorten(file)) }

func resolve(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// keyPair never tells anything of the key's content.
func (c *collector) keyPair(dir, path string, files *KeyFiles) {
	certificate, ok := c.certificate(dir, path+".certificate", files.Certificate)
	key, readable := c.read(dir, path+".key", files.Key)
	if !readable {
		return
	}
	if !hasBlock(key, "PRIVATE KEY") {
		c.add(path+".key", show(files.Key)+" holds no PEM private key", "name a PEM file that is not encrypted")
		return
	}
	if !ok {
		return
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		c.add(path+".key", show(files.Key)+" is not the key of "+show(files.Certificate), "name the key that belongs to the certificate")
	}
}

func (c *collector) certificate(dir, path, file string) ([]byte, bool) {
	data, ok := c.read(dir, path, file)
	if !ok {
		return nil, false
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			c.add(path, show(file)+" holds a certificate that can not be parsed: "+err.Error(), "name a PEM file of an X.509 certificate")
			return nil, false
		}
		return data, true
	}
	c.add(path, show(file)+" holds no PEM certificate", "name a PEM file of an X.509 certificate")
	return nil, false
}

func (c *collector) read(dir, path, file string) ([]byte, bool) {
	if !c.required(path, file, "write the file's name; relative ones count from the topology file") {
		return nil, false
	}
	data, err := readFile(resolve(dir, file))
	if err != nil {
		c.add(path, show(file)+" can not be read: "+reason(err), "name a readable file; relative ones count from the topology file")
		return nil, false
	}
	return data, true
}

// hasBlock says whether a PEM block's type ends so: there are EC, RSA and plain private keys.
func hasBlock(data []byte, kind string) bool {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return false
		}
		if bytes.HasSuffix([]byte(block.Type), []byte(kind)) {
			return true
		}
	}
}
