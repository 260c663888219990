// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/meshfed/meshfed/verify"
)

// outsideBody bounds what is read of an answer, in bytes: verify's probes answer with less.
const outsideBody = 64 << 10

// curlScript reads requests, a line for each with its number, URL and Host header, which may be
// missing. It sends them side by side and writes a line for each as soon as it has ended: the number,
// curl's exit code and what curl printed, raw because the headers are read too, in base64. It ends with
// its input.
const curlScript = `while read -r number url host; do
  (
    set -o pipefail
    printed=$(curl --silent --show-error --include --raw --http1.1 --noproxy '*' --max-time 10 ${host:+--header "Host: $host"} "$url" 2>&1 | head -c 131072 | base64 -w 0)
    code=$?
    flock 9
    echo "$number $code $printed"
  ) 9>"${TMPDIR:-/tmp}/answers" &
done
wait`

// curlCut is curl's exit code where the script has cut a long answer off: nobody took the rest
// (https://curl.se/libcurl/c/libcurl-errors.html).
const curlCut = 23

// curlContainer sends requests from a container that lives from the first one until done: to start one
// takes far longer than to send a request. It is safe for concurrent use.
type curlContainer struct {
	// run runs curlScript and blocks until it has ended.
	run func(in io.Reader, out io.Writer) error

	mu  sync.Mutex
	now *curlRun
}

// get sends one request and blocks until it has ended, or ctx has.
func (c *curlContainer) get(ctx context.Context, url, host string) (verify.OutsideAnswer, error) {
	printed, err := c.send(ctx, url, host)
	if err != nil {
		return verify.OutsideAnswer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(printed)), nil)
	if err != nil {
		return verify.OutsideAnswer{}, fmt.Errorf("%w: reading what curl printed: %w", verify.ErrNotSent, err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, outsideBody))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return verify.OutsideAnswer{}, err
	}
	headers := map[string]string{}
	for key := range response.Header {
		headers[key] = response.Header.Get(key)
	}
	return verify.OutsideAnswer{Status: response.StatusCode, Body: body, Headers: headers}, nil
}

// send returns what curl printed of an answer.
func (c *curlContainer) send(ctx context.Context, url, host string) ([]byte, error) {
	r, err := c.running()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", verify.ErrNotSent, err)
	}
	answer := r.ask(url, host)
	select {
	case a := <-answer:
		return a.page()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", verify.ErrNotSent, ctx.Err())
	case <-r.ended:
	}
	select {
	case a := <-answer: // the last that it said
		return a.page()
	default:
		return nil, fmt.Errorf("%w: %w", verify.ErrNotSent, r.err)
	}
}

// running is the container, started when there is none or it has ended.
func (c *curlContainer) running() (*curlRun, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil && !c.now.over() {
		return c.now, nil
	}
	// A pipe of the system, which a container that has ended breaks.
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r := &curlRun{in: out, asked: map[int]chan curled{}, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		if r.err = c.run(in, r); r.err == nil {
			r.err = errors.New("the container has ended")
		}
		_ = in.Close()
	}()
	c.now = r
	return r, nil
}

func (r *curlRun) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// done ends the container and blocks until it is gone; the next request starts another.
func (c *curlContainer) done() {
	c.mu.Lock()
	r := c.now
	c.now = nil
	c.mu.Unlock()
	if r != nil {
		_ = r.in.Close()
		<-r.ended
	}
}

// curlRun is one life of the container. What it prints is written to it.
type curlRun struct {
	in    *os.File
	ended chan struct{}
	err   error // why it has ended, once it has

	mu    sync.Mutex
	count int
	asked map[int]chan curled
	rest  []byte // of a line whose end is still to come
}

// curled is how one run of curl ended.
type curled struct {
	code    int
	printed []byte
}

// page is what curl printed of an answer; an error when no HTTP answer came.
func (c curled) page() ([]byte, error) {
	if c.code == 0 || c.code == curlCut {
		return c.printed, nil
	}
	return nil, newCurlError(c.code, c.printed)
}

// ask has a request sent; its answer comes by the channel, or none does and the run ends.
func (r *curlRun) ask(url, host string) <-chan curled {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	answer := make(chan curled, 1)
	r.asked[r.count] = answer
	// The container's end of the pipe stays open until it has ended, which who waits is told.
	_, _ = fmt.Fprintln(r.in, r.count, url, host)
	return answer
}

// Write takes the answers.
func (r *curlRun) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, p...)
	for {
		line, rest, whole := bytes.Cut(r.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		r.rest = rest
		r.tell(string(line))
	}
}

// tell gives an answer to who has asked. The lock is held. A line that is none is somebody else's word.
func (r *curlRun) tell(line string) {
	words := strings.Fields(line)
	if len(words) < 2 {
		return
	}
	number, err := strconv.Atoi(words[0])
	code, cerr := strconv.Atoi(words[1])
	answer := r.asked[number]
	if err != nil || cerr != nil || answer == nil {
		return
	}
	printed, err := base64.StdEncoding.DecodeString(strings.Join(words[2:], ""))
	if err != nil {
		return
	}
	delete(r.asked, number)
	answer <- curled{code, printed}
}

// curlError is a failure of curl's own in the words of curl, which errors.Is knows by what Go's
// client would have said in its place: so both outside clients are judged alike.
type curlError struct {
	words  string
	reason error // what it means, nil where that is not known
}

func newCurlError(code int, printed []byte) error {
	e := curlError{words: fmt.Sprintf("curl has ended with %d", code)}
	// What had come of an answer may stand before curl's own line.
	for line := range strings.Lines(string(printed)) {
		if strings.HasPrefix(line, "curl: ") {
			e.words = strings.TrimSpace(line)
		}
	}
	if code > curlLast {
		return fmt.Errorf("%w: %s", verify.ErrNotSent, e.words)
	}
	e.reason = curlReason(code, e.words)
	return e
}

// curlLast is above every exit code of curl's own: the shell says by it that curl did not run or was
// killed.
const curlLast = 125

// Error implements error.
func (e curlError) Error() string { return e.words }

// Unwrap returns the reason.
func (e curlError) Unwrap() error { return e.reason }

// curlReason reads how a request ended from curl's exit code and words; nil where they do not
// tell (https://curl.se/libcurl/c/libcurl-errors.html).
func curlReason(code int, words string) error {
	switch {
	// While connecting, sending or receiving: the code says when, only the words say what.
	case strings.Contains(words, "Connection reset by peer"), strings.Contains(words, "Broken pipe"):
		return syscall.ECONNRESET
	case code == 7: // nobody took the connection; why, later versions of curl do not say
		return syscall.ECONNREFUSED
	case code == 28:
		return os.ErrDeadlineExceeded
	case code == 52: // closed, and nothing was answered
		return io.EOF
	}
	return nil
}
