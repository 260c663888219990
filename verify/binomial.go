// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import "math"

// confidence of every bound on a count: a healthy mesh breaks it once in a thousand.
const confidence = 0.999

// leastAnswers is how few answers say nothing about a share.
const leastAnswers = 100

// bounds gives the smallest interval of counts, equal in both tails, that holds a binomial
// variable of n tries at probability p with the confidence of this package.
func bounds(n int, p float64) (low, high int) {
	tail := (1 - confidence) / 2
	sum := 0.0
	low, high = -1, n
	for k := 0; k <= n; k++ {
		sum += probability(n, k, p)
		if low < 0 && sum > tail {
			low = k
		}
		if sum >= 1-tail {
			high = k
			break
		}
	}
	return max(low, 0), high
}

// probability of exactly k of n, by logarithms so that a thousand tries do not underflow.
func probability(n, k int, p float64) float64 {
	switch {
	case p <= 0:
		if k == 0 {
			return 1
		}
		return 0
	case p >= 1:
		if k == n {
			return 1
		}
		return 0
	}
	choose := lgamma(n+1) - lgamma(k+1) - lgamma(n-k+1)
	return math.Exp(choose + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func lgamma(n int) float64 {
	v, _ := math.Lgamma(float64(n))
	return v
}
