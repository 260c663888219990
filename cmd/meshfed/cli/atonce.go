// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package cli

import "sync"

// atOnce calls do for 0 to n-1, at most parallel at once (0: all), and blocks until all have
// returned.
func atOnce(parallel, n int, do func(i int)) {
	if parallel <= 0 || parallel > n {
		parallel = n
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}
