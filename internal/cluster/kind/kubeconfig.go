// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/meshfed/meshfed/internal/cluster"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/poll"
)

const (
	// apiPort is where the API listens inside of a node; kind's choice.
	apiPort = 6443
	// adminConf is the administrator's kubeconfig that kubeadm writes.
	adminConf = "/etc/kubernetes/admin.conf"
	// askTimeout bounds one question to an API that may be dead.
	askTimeout = 5 * time.Second
	// startDeadline bounds the wait for the API of a cluster that was started again.
	startDeadline = 90 * time.Second
)

// Kubeconfig reads the administrator's kubeconfig out of the node and gives it our names and
// the server that can be reached from the vantage. The cluster must run.
func (p *Provider) Kubeconfig(ctx context.Context, name string, from cluster.Vantage) ([]byte, error) {
	data, err := p.kubeconfig(ctx, name, from)
	return data, diag.Op(err, name, "reading the kubeconfig")
}

func (p *Provider) kubeconfig(ctx context.Context, name string, from cluster.Vantage) ([]byte, error) {
	c, err := p.endpoint(ctx, name)
	if err != nil {
		return nil, err
	}
	server := hostServer([]cluster.Container{c})
	if from == cluster.FromNetwork {
		if server, err = p.InternalServer(ctx, name); err != nil {
			return nil, err
		}
	}
	out, err := p.exec(ctx, name+"-control-plane", "cat", adminConf)
	if err != nil {
		return nil, err
	}
	return rename([]byte(out), name, server)
}

// rename gives a kubeconfig of one cluster its names and server. Its keys never show up in
// an error.
func rename(data []byte, name, server string) ([]byte, error) {
	have, err := clientcmd.Load(data)
	if err != nil {
		return nil, errors.New("the kubeconfig in the node can not be read")
	}
	current := have.Contexts[have.CurrentContext]
	if current == nil || have.Clusters[current.Cluster] == nil || have.AuthInfos[current.AuthInfo] == nil {
		return nil, errors.New("the kubeconfig in the node has no current context")
	}
	config := api.NewConfig()
	config.Clusters[name] = have.Clusters[current.Cluster]
	config.Clusters[name].Server = server
	config.AuthInfos[name] = have.AuthInfos[current.AuthInfo]
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.Write(*config)
}

// WriteKubeconfig writes the kubeconfig for this host to path, 0600, in one step; the folder
// is made 0700 when missing. It is idempotent: an equal file is left alone.
func (p *Provider) WriteKubeconfig(ctx context.Context, name, path string) error {
	data, err := p.Kubeconfig(ctx, name, cluster.FromHost)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(path); err == nil && slices.Equal(have, data) {
		return os.Chmod(path, 0o600)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// A temporary file is made 0600.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing the kubeconfig of %s: %w", name, err), os.Remove(f.Name()))
	}
	return nil
}

// askAPI asks the API server of a cluster whether it is ready.
func (p *Provider) askAPI(ctx context.Context, name string) error {
	data, err := p.kubeconfig(ctx, name, cluster.FromHost)
	if err != nil {
		return err
	}
	return ask(ctx, data)
}

// ask asks the API server of a kubeconfig whether it is ready.
func ask(ctx context.Context, kubeconfig []byte) error {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return errors.New("the kubeconfig in the node can not be used")
	}
	config.Timeout = askTimeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return errors.New("the certificates in the node can not be used")
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return brief(err)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	err = errors.Join(err, answer.Body.Close())
	if answer.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("/readyz says %s", answer.Status))
	}
	return err
}

// brief leaves addresses and ports out of an error of the network: whoever waits is told each
// change, and the port of this side changes with each attempt.
func brief(err error) error {
	var operation *net.OpError
	if errors.As(err, &operation) {
		return operation.Err
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}

// waitForAPI waits until the API of a cluster that was just started answers.
func (p *Provider) waitForAPI(ctx context.Context, name string) error {
	return poll.Until(ctx, poll.Options{What: "the API of " + name, Deadline: startDeadline,
		Observe: func(state string) { p.observe(ctx, name, state) },
	}, func(ctx context.Context) (bool, string, error) {
		err := p.askAPI(ctx, name)
		if err != nil {
			// It may be that something else has its address.
			p.announce(ctx, name+"-control-plane")
		}
		return err == nil, "it does not answer", err
	})
}
