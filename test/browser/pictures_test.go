// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package browser

import (
	"bytes"
	"context"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/meshfed/meshfed/internal/golden"
)

// pictureLimit is what a picture stays under, in bytes.
const pictureLimit = 300_000

// picture is a look at the page of a recorded report.
type picture struct {
	name, report string
	shape
	// before is a script that runs first, such as a click.
	before string
}

func pictures() []picture {
	return []picture{
		{"passing", "passing", shape{width: 1160, height: 1330, scale: 1.25}, ""},
		{"failing", "failing", shape{width: 1160, height: 1330, scale: 1.25, dark: true}, `document.querySelector(".check[data-status=fail]").open = true`},
		{"phone", "failing", shape{width: 375, height: 780, scale: 2}, ""},
		{"steps", "passing", shape{width: 1160, height: 900, scale: 1.25}, `document.documentElement.style.scrollBehavior = "auto"; document.getElementById("steps-title").scrollIntoView()`},
	}
}

// TestPictures: the pictures in docs/reports are there, are pictures of these sizes and small.
// With -update (make pictures) they are made anew from recorded reports.
func TestPictures(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "docs", "reports")
	var b context.Context
	if golden.Updating() {
		b = start(t)
	}
	for _, p := range pictures() {
		path := filepath.Join(dir, p.name+".png")
		if golden.Updating() {
			take(t, b, p, path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Errorf("%v (make pictures)", err)
			continue
		}
		config, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil || config.Width != int(float64(p.width)*p.scale) || len(data) >= pictureLimit {
			t.Errorf("%s: %v, %d bytes, %d wide", path, err, len(data), config.Width)
		}
	}
}

// take makes a picture.
func take(t *testing.T, b context.Context, p picture, path string) {
	t.Helper()
	o := open(t, b, drawn(t, recorded(t, p.report)), p.shape)
	if p.before != "" {
		script[any](o, p.before)
	}
	ctx, cancel := context.WithTimeout(o.ctx, patience)
	defer cancel()
	shot, err := chromedp.Run(ctx, func(ctx context.Context, t *chromedp.Target) ([]byte, error) {
		answer, err := cdp.Call(ctx, t, cdppage.CaptureScreenshot, cdppage.CaptureScreenshotParams{Format: cdppage.CaptureScreenshotFormatPng})
		return answer.Data, err
	})
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, picture); err != nil {
		t.Fatal(err)
	}
	if small.Len() > len(shot) {
		small = *bytes.NewBuffer(shot)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
