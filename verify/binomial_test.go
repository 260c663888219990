// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		n         int
		p         float64
		low, high int
	}{
		{200, 0.5, 77, 123}, // 100 +- 3.29 * 7.07, as the normal approximation has it
		{200, 0.25, 31, 71}, // skewed to the right
		{100, 0, 0, 0},
		{100, 1, 100, 100},
		{0, 0.5, 0, 0},
	} {
		low, high := bounds(tc.n, tc.p)
		if math.Abs(float64(low-tc.low)) > 1 || math.Abs(float64(high-tc.high)) > 1 {
			t.Errorf("bounds(%d, %g) = %d..%d, want about %d..%d", tc.n, tc.p, low, high, tc.low, tc.high)
		}
	}
}

func TestBoundsHoldTheirConfidence(t *testing.T) {
	t.Parallel()
	for _, p := range []float64{0.1, 0.25, 0.5, 0.75, 0.97} {
		for _, n := range []int{100, 200, 1000} {
			low, high := bounds(n, p)
			inside := 0.0
			for k := low; k <= high; k++ {
				inside += probability(n, k, p)
			}
			if inside < confidence-1e-9 || inside > 1+1e-9 {
				t.Errorf("bounds(%d, %g) hold %.6f of the probability", n, p, inside)
			}
		}
	}
}

func TestBoundsAcceptWhatIsFairAndRejectWhatIsNot(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int, p float64) int {
		k := 0
		for range n {
			if r.Float64() < p {
				k++
			}
		}
		return k
	}
	const runs, n = 2000, 200
	low, high := bounds(n, 0.25)
	outside, missed := 0, 0
	for range runs {
		if k := draw(n, 0.25); k < low || k > high {
			outside++
		}
		if k := draw(n, 0.5); k >= low && k <= high {
			missed++
		}
	}
	if outside > 10 { // two are expected
		t.Errorf("%d of %d fair runs were rejected", outside, runs)
	}
	if missed > 10 {
		t.Errorf("%d of %d even splits passed as 3:1", missed, runs)
	}
}
