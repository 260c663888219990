// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package federation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshfed/meshfed/internal/graph"
)

// access is what a remote secret says: where a cluster is, whom to trust there, and who asks.
// It must never be printed.
type access struct {
	Cluster, Server, Token string
	CA                     []byte
}

// String keeps the token out of logs and errors.
func (a access) String() string { return "access to " + a.Cluster + " at " + a.Server }

// GoString is String.
func (a access) GoString() string { return a.String() }

// kubeconfig writes a as istioctl does: cluster, user and context carry the cluster's name.
// Source: createBearerTokenKubeconfig in Istio's istioctl/pkg/multicluster/remote_secret.go.
func (a access) kubeconfig() ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{a.Cluster: {CertificateAuthorityData: a.CA, Server: a.Server}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{a.Cluster: {Token: a.Token}},
		Contexts:       map[string]*clientcmdapi.Context{a.Cluster: {Cluster: a.Cluster, AuthInfo: a.Cluster}},
		CurrentContext: a.Cluster,
	})
}

// errNoKubeconfig says nothing of what was there instead: it may hold a token.
var errNoKubeconfig = errors.New("not a kubeconfig with one bearer token")

// parseAccess reads what kubeconfig wrote. Anything that istiod would use differently from
// what access can say is an error.
func parseAccess(data []byte) (access, error) {
	cfg, err := clientcmd.Load(data)
	if err != nil {
		return access{}, errNoKubeconfig
	}
	current := cfg.Contexts[cfg.CurrentContext]
	if current == nil {
		return access{}, errNoKubeconfig
	}
	cluster, user := cfg.Clusters[current.Cluster], cfg.AuthInfos[current.AuthInfo]
	if cluster == nil || user == nil || user.Token == "" || cluster.InsecureSkipTLSVerify || cluster.TLSServerName != "" || cluster.ProxyURL != "" {
		return access{}, errNoKubeconfig
	}
	return access{Cluster: cfg.CurrentContext, Server: cluster.Server, Token: user.Token, CA: cluster.CertificateAuthorityData}, nil
}

// differs lists where have is not want, tokens apart.
func (a access) differs(have access) []graph.FieldChange {
	var fields []graph.FieldChange
	if have.Cluster != a.Cluster {
		fields = append(fields, graph.FieldChange{Path: "kubeconfig.current-context", Old: have.Cluster, New: a.Cluster})
	}
	if have.Server != a.Server {
		fields = append(fields, graph.FieldChange{Path: "kubeconfig.server", Old: have.Server, New: a.Server})
	}
	if !bytes.Equal(bytes.TrimSpace(have.CA), bytes.TrimSpace(a.CA)) {
		fields = append(fields, graph.FieldChange{Path: "kubeconfig.certificate-authority", Old: digest(have.CA), New: digest(a.CA)})
	}
	return fields
}

// digest tells certificates apart in few characters.
func digest(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	sum := sha256.Sum256(bytes.TrimSpace(data))
	return "SHA256:" + hex.EncodeToString(sum[:6])
}
