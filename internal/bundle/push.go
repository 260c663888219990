// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	helmregistry "helm.sh/helm/v4/pkg/registry"

	"github.com/meshfed/meshfed/internal/charts"
	"github.com/meshfed/meshfed/internal/diag"
	"github.com/meshfed/meshfed/internal/images"
	"github.com/meshfed/meshfed/internal/registry"
	"github.com/meshfed/meshfed/topology"
)

// PushOptions say where to push.
type PushOptions struct {
	// Mirror is a registry's host and a path on it, as in spec.images.mirror.
	Mirror string
	// Plain says that it is spoken to without TLS; so does http:// before Mirror.
	Plain bool
	// Keychain has the logins; nil means those of docker and podman on this host.
	Keychain authn.Keychain
	// Observe is told of each change of state.
	Observe func(Progress)
}

// Push copies every image to a registry, under the path that it is published with, and the
// charts beside them as charts/NAME. What is there already is not sent again. Images that
// differ from what upstream publishes say so in labels, which Pull and registry.Check read. It
// blocks until all is there.
func (b *Bundle) Push(ctx context.Context, o PushOptions) error {
	if err := CheckMirror(o.Mirror); err != nil {
		return err
	}
	t := &topology.Topology{}
	t.Spec.Images.Mirror = o.Mirror
	host, path, plain := t.MirrorHost()
	mirror := images.Mirror(t)
	options := registry.Options{Keychain: o.Keychain}.WithLogins()
	if plain || o.Plain {
		options.Plain = []string{host}
	}
	// Once, and before it is said that something is being pushed.
	if _, err := options.Credentials(ctx, host, path); err != nil {
		text, hint := options.Say(host, err)
		return diag.Hint(fmt.Errorf("pushing an image bundle to %s: %w", host, &registry.Error{Text: text, Err: err}), hint)
	}
	items := b.pushItems()
	track := newTracker(items, o.Observe)
	for n, i := range b.Images {
		to := b.PushedName(mirror, i.Name)
		began := time.Now()
		track.started(items[n])
		there, err := b.pushImage(ctx, i.Name, to, options, func(text string) { track.detail(items[n], text) })
		if err != nil {
			return fmt.Errorf("pushing image %s: %w", i.Name, options.Explain(to, err))
		}
		track.finished(items[n], there, time.Since(began))
	}
	return b.pushCharts(ctx, host, mirror, options)
}

// CheckMirror says what is wrong with a registry to push to. The rules are those of
// spec.images.mirror, for which it is meant, and so are the words: no password is in them.
func CheckMirror(mirror string) error {
	const example = "name a registry and a path on it: `meshfed bundle push registry.example.com/mesh`"
	if strings.Trim(mirror, "/") == "" {
		return diag.Hint(errors.New("pushing an image bundle: no registry is named"), example)
	}
	// A login before an @ is shown nowhere, not even the beginning of a long one.
	if at := strings.LastIndex(mirror, "@"); at >= 0 {
		mirror = "***" + mirror[at:]
	}
	quoted, err := json.Marshal(mirror)
	if err != nil {
		return fmt.Errorf("reading the registry's name: %w", err)
	}
	file := append(topology.Starter("mesh", ""), "  images: {mirror: "+string(quoted)+"}\n"...)
	_, err = topology.Parse("", file)
	var problems topology.Problems
	if !errors.As(err, &problems) {
		return err
	}
	p := problems[0]
	return diag.Hint(fmt.Errorf("pushing an image bundle: the registry %s", p.Message), p.Fix)
}

func (b *Bundle) pushItems() []artefact {
	var items []artefact
	for _, i := range b.Images {
		items = append(items, artefact{item: "push " + i.Name, weight: float64(i.Size) / (10 << 20)})
	}
	return items
}

// PushItems lists what Push sends, in order: the Item of each Progress, and about how many
// seconds it takes at ten megabytes a second.
func (b *Bundle) PushItems() []Item {
	var items []Item
	for _, a := range b.pushItems() {
		items = append(items, Item{Name: a.item, Seconds: a.weight})
	}
	return items
}

// PushedName is what Push calls an image of the bundle on a mirror: what a topology with that
// mirror asks for.
func (b *Bundle) PushedName(mirror, image string) string {
	switch path := images.Path(image); {
	case strings.HasPrefix(image, NodeRepository+":"):
		release, _, _ := strings.Cut(tag(image), "-")
		return images.On(mirror, "docker.io/kindest/node:"+release)
	case strings.HasPrefix(image, ProbeRepository+":"):
		return images.On(mirror, images.Probe())
	default:
		return mirror + "/" + path
	}
}

// pushImage sends one image, and says whether it was there.
func (b *Bundle) pushImage(ctx context.Context, image, to string, options registry.Options, tell func(string)) (bool, error) {
	img, err := b.labelled(image)
	if err != nil {
		return false, err
	}
	want, err := img.Digest()
	if err != nil {
		return false, err
	}
	ref, err := options.Parse(to)
	if err != nil {
		return false, err
	}
	opts, err := options.Remote(ctx)
	if err != nil {
		return false, err
	}
	// A registry has a manifest only when it has what that names.
	if have, err := remote.Head(ref, opts...); err == nil && have.Digest == want {
		return true, nil
	}
	return false, write(ref, img, opts, tell)
}

// write sends an image and tells how far it is.
func write(ref name.Reference, img v1.Image, opts []remote.Option, tell func(string)) error {
	updates, done := make(chan v1.Update, 16), make(chan struct{})
	go func() {
		defer close(done)
		const mib = 1 << 20
		told := int64(-1)
		for u := range updates {
			if now := u.Complete / mib; now != told {
				told = now
				tell(fmt.Sprintf("%d of %d MiB", now, u.Total/mib))
			}
		}
	}()
	err := remote.Write(ref, img, append(opts, remote.WithProgress(updates))...)
	<-done
	return err
}

// labelled is an image of the bundle with the labels of what it substitutes.
func (b *Bundle) labelled(image string) (v1.Image, error) {
	img, err := b.open(image)
	if err != nil {
		return nil, err
	}
	labels := b.substituted(image)
	if len(labels) == 0 {
		return img, nil
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	changed := config.Config.DeepCopy()
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	maps.Copy(changed.Labels, labels)
	return mutate.Config(img, *changed)
}

// substituted are the labels of an image that was built here. One that was pulled has them.
func (b *Bundle) substituted(image string) map[string]string {
	if !b.Settings.ImagesInNode {
		return nil
	}
	labels := map[string]string{}
	add := func(label, word string) {
		labels[label] = "true"
		for _, s := range b.Substitutions {
			if strings.Contains(s, word) {
				labels[registry.LabelSubstitution] = s
			}
		}
	}
	if b.Settings.BridgeCNI && image == b.NodeImage {
		add(registry.LabelBridgeCNI, "CNI")
	}
	if b.Settings.UpstreamEnvoy && strings.HasPrefix(images.Path(image), "istio/proxyv2:") {
		add(registry.LabelUpstreamEnvoy, "Envoy")
	}
	return labels
}

// pushCharts sends the charts with Helm's client. Their manifests carry the time of every layer
// here, so that the same chart is the same content.
func (b *Bundle) pushCharts(ctx context.Context, host, mirror string, options registry.Options) error {
	for _, c := range b.Charts {
		data, err := os.ReadFile(filepath.Join(b.Dir, filepath.FromSlash(c.File)))
		if err != nil {
			return fmt.Errorf("pushing chart %s: %w", c.Name, err)
		}
		to := strings.TrimPrefix(charts.OnMirror(mirror), "oci://") + "/" + c.Name
		client, err := charts.Client(ctx, host, strings.TrimPrefix(to, host+"/"), options)
		if err == nil {
			_, err = client.Push(data, to+":"+c.Version, helmregistry.PushOptCreationTime(epoch().Format(time.RFC3339)))
		}
		if err != nil {
			text, hint := options.Say(host, err)
			return diag.Hint(fmt.Errorf("pushing chart %s to %s: %w", c.Name, host, &registry.Error{Text: text, Err: err}), hint)
		}
	}
	return nil
}
