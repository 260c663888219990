// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/meshfed/meshfed/internal/poll"
	"github.com/meshfed/meshfed/verify"
	"github.com/meshfed/meshfed/verify/page"
)

// patience bounds what one page may take; a busy machine is slow, a page that hangs is not
// waited for.
const patience = 2 * time.Minute

// program is the browser to use. Without one the test is skipped, unless one was asked for.
func program(t *testing.T) string {
	t.Helper()
	if named := os.Getenv("MESHFED_CHROMIUM"); named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			t.Fatalf("MESHFED_CHROMIUM=%s: %v (hack/host.sh browser installs it)", named, err)
		}
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("there is no Chromium on this host: hack/host.sh browser installs it, and make test needs it")
	return ""
}

// start is a browser without a window and with nothing in it.
func start(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program(t)), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	return ctx
}

// tab is one page that is looked at.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	said     []string // errors and warnings of the console
	requests []string
}

// shape is how a page is looked at.
type shape struct {
	width, height int64
	dark, print   bool
	scale         float64
	scriptless    bool
}

// desktop is a window of the usual size.
func desktop() shape { return shape{width: 1200, height: 900} }

// open shows a file in a new tab and waits until it is there.
func open(t *testing.T, browser context.Context, path string, s shape) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	o := &tab{T: t, ctx: ctx}
	if err := chromedp.Listen(ctx, o.heard); err != nil {
		t.Fatal(err)
	}
	scheme, medium := "light", ""
	if s.dark {
		scheme = "dark"
	}
	if s.print {
		medium = "print"
	}
	scale := max(1, s.scale)
	o.do(
		chromedp.EmulateViewport(s.width, s.height, chromedp.EmulateScale(scale)),
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
		call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: s.scriptless}),
		chromedp.Navigate("file://"+path),
	)
	return o
}

// heard notes what the page fetches and complains of.
func (o *tab) heard(event any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		o.requests = append(o.requests, e.Request.URL)
	case *runtime.EventConsoleAPICalled:
		o.said = append(o.said, string(e.Type))
	case *runtime.EventExceptionThrown:
		o.said = append(o.said, e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		o.said = append(o.said, string(e.Entry.Level)+": "+e.Entry.Text)
	}
}

// call is a command of the DevTools protocol whose answer does not matter.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// quiet fails when the page fetched something besides itself or the console has anything.
func (o *tab) quiet() {
	o.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.said) > 0 {
		o.Errorf("the console has %q", o.said)
	}
	for i, url := range o.requests {
		if i > 0 && !strings.HasPrefix(url, "data:") || i == 0 && !strings.HasPrefix(url, "file://") {
			o.Errorf("it fetches %s", url)
		}
	}
	if len(o.requests) == 0 {
		o.Error("no request was heard, not even that for the page: this test hears nothing")
	}
}

func (o *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.ctx, patience)
	defer cancel()
	// The first action of a tab opens it, which must not depend on the deadline.
	if err := chromedp.Do(o.ctx); err != nil {
		o.Fatal(err)
	}
	if err := chromedp.Do(ctx, actions...); err != nil {
		o.Fatal(err)
	}
}

// script is the value of an expression in the page.
func script[T any](o *tab, expression string) T {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		o.Fatalf("%s: %v", expression, err)
	}
	return value
}

// until waits for an expression to be true, and says what it was about.
func (o *tab) until(what, expression string) {
	o.Helper()
	err := poll.Until(o.ctx, poll.Options{What: what, Interval: 20 * time.Millisecond, Deadline: patience}, func(ctx context.Context) (bool, string, error) {
		done, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		return done, "not " + expression, err
	})
	if err != nil {
		o.Fatal(err)
	}
}

// recorded is a report of a real run, from the tests of the page.
func recorded(t *testing.T, name string) *verify.Report {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "verify", "page", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r verify.Report
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// drawn is the page of a report as a file.
func drawn(t *testing.T, r *verify.Report) string {
	t.Helper()
	data, err := page.HTML(r)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
