// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package kind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/meshfed/meshfed/internal/diag"
)

// execTime bounds one command in a node. A node whose processes were frozen behind the engine's
// back never answers, and neither does the engine that was asked to start one more.
const execTime = 2 * time.Minute

// errSilent means that a command in a node did not end in time.
var errSilent = errors.New("does not answer")

// exec runs a command in a node and returns what it wrote to stdout.
func (p *Provider) exec(ctx context.Context, node string, args ...string) (string, error) {
	bounded, cancel := context.WithTimeout(ctx, p.execTime)
	defer cancel()
	out, err := p.engine.Run(bounded, append([]string{"exec", node}, args...)...)
	return out, p.silent(ctx, bounded, node, err)
}

// feed runs a script in a node with text as its standard input.
func (p *Provider) feed(ctx context.Context, node, text, script string) error {
	bounded, cancel := context.WithTimeout(ctx, p.execTime)
	defer cancel()
	err := p.engine.Pipe(bounded, strings.NewReader(text), nil, "exec", "--interactive", node, "sh", "-c", script)
	return p.silent(ctx, bounded, node, err)
}

// silent makes an errSilent of an error that is only the end of bounded.
func (p *Provider) silent(ctx, bounded context.Context, node string, err error) error {
	if err == nil || ctx.Err() != nil || bounded.Err() == nil {
		return err
	}
	return diag.Hint(fmt.Errorf("container %s %w: a command in it has not ended after %s", node, errSilent, p.execTime),
		fmt.Sprintf("`%s restart %s`, then meshfed up; if that hangs too, start the engine again", p.engine.Name(), node))
}
