// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package charts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	helmregistry "helm.sh/helm/v4/pkg/registry"
	repo "helm.sh/helm/v4/pkg/repo/v1"

	"github.com/meshfed/meshfed/internal/registry"
)

var (
	errSilent  = errors.New("no answer")
	errMissing = errors.New("it has no such chart")
	errLie     = errors.New("the chart is not what its digest says")
)

// bound gives every request a context: Helm's client takes none.
type bound struct {
	ctx  context.Context //nolint:containedctx // that is what it is for
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper. The request's own context is one without an end.
func (b bound) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.next.RoundTrip(r.WithContext(b.ctx))
}

// Client is Helm's registry client for a path of one host: bounded by ctx, with this host's
// logins. It blocks for 10 s at most while it looks for one.
func Client(ctx context.Context, host, path string, o registry.Options) (*helmregistry.Client, error) {
	login, err := o.Credentials(ctx, host, path)
	if err != nil {
		return nil, err
	}
	opts := []helmregistry.ClientOption{
		helmregistry.ClientOptHTTPClient(&http.Client{Transport: bound{ctx, o.Transport()}}),
		// Logins come from the keychain alone; Helm's own file would be a second place.
		helmregistry.ClientOptCredentialsFile(filepath.Join(DefaultDir(), "no-logins.json")),
		helmregistry.ClientOptWriter(io.Discard),
	}
	if login.Username != "" && login.Password != "" {
		opts = append(opts, helmregistry.ClientOptBasicAuth(login.Username, login.Password))
	}
	if o.IsPlain(host) {
		opts = append(opts, helmregistry.ClientOptPlainHTTP())
	}
	return helmregistry.NewClient(opts...)
}

// fromRegistry pulls with Helm's client, which checks digests.
func (f Fetcher) fromRegistry(ctx context.Context, ref Ref) ([]byte, error) {
	o := ref.options()
	o.Keychain = f.Keychain
	c, err := Client(ctx, ref.host(), ref.path(), o)
	if err != nil {
		return nil, err
	}
	pulled, err := c.Pull(ref.image())
	if err != nil {
		return nil, err
	}
	return pulled.Chart.Data, nil
}

// fromIndex reads a repository's index.yaml and fetches the archive that it names.
func fromIndex(ctx context.Context, ref Ref) ([]byte, error) {
	index, err := readIndex(ctx, ref)
	if err != nil {
		return nil, err
	}
	version, err := index.Get(ref.Name, ref.Version)
	if err != nil || len(version.URLs) == 0 || version.Version != ref.Version {
		return nil, fmt.Errorf("%w%s", errMissing, others(index, ref))
	}
	url, err := repo.ResolveReferenceURL(strings.TrimSuffix(ref.Repository, "/")+"/", version.URLs[0])
	if err != nil {
		return nil, err
	}
	data, err := get(ctx, url)
	if err != nil {
		return nil, err
	}
	if want := strings.TrimPrefix(version.Digest, "sha256:"); want != "" && want != digest(data) {
		return nil, fmt.Errorf("%w: the index says %s, what came has %s", errLie, want, digest(data))
	}
	return data, nil
}

// readIndex goes by way of a file: that is how Helm reads one, with its checks.
func readIndex(ctx context.Context, ref Ref) (*repo.IndexFile, error) {
	data, err := get(ctx, strings.TrimSuffix(ref.Repository, "/")+"/index.yaml")
	if err != nil {
		return nil, err
	}
	tmp, err := os.CreateTemp("", "meshfed-index-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(data)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	index, err := repo.LoadIndexFile(tmp.Name())
	if err != nil {
		return nil, errors.New("its index.yaml is none")
	}
	return index, nil
}

// others says which versions a repository has of a chart, for one who has mistaken it.
func others(index *repo.IndexFile, ref Ref) string {
	var have []string
	for _, v := range index.Entries[ref.Name] {
		have = append(have, v.Version)
	}
	const most = 5
	switch {
	case len(have) == 0:
		return ""
	case len(have) > most:
		have = append(have[:most], "...")
	}
	return "; it has " + strings.Join(have, ", ")
}

// get asks for a small file.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: http.DefaultTransport}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, fmt.Errorf("%w (404 for %s)", errMissing, lastPart(url))
	default:
		return nil, fmt.Errorf("it answers %d for %s", response.StatusCode, lastPart(url))
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, chartLimit+1))
	if err == nil && len(data) > chartLimit {
		err = fmt.Errorf("%s is larger than %d MiB", lastPart(url), chartLimit>>20)
	}
	return data, err
}

func lastPart(url string) string { return url[strings.LastIndex(url, "/")+1:] }
