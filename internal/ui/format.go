// SPDX-FileCopyrightText: The meshfed authors
// SPDX-License-Identifier: Apache-2.0

package ui

import (
	"fmt"
	"time"
)

// Duration writes a measured time: "0.4s", "24.1s", "4m12s", "1h05m". Negative counts as 0.
func Duration(d time.Duration) string {
	if d = max(d, 0); d.Round(100*time.Millisecond) < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return Clock(d)
}

// Clock writes a running time in whole seconds: "7s", "1m05s", "1h05m".
func Clock(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// About writes an estimate, no more exact than an estimate is: "about 40 s",
// "about 12 min", "about 1 h 30 min".
func About(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return "a few seconds"
	case d < 90*time.Second:
		return fmt.Sprintf("about %d s", int((d+5*time.Second)/(10*time.Second))*10)
	case d < time.Hour:
		return fmt.Sprintf("about %d min", int(d.Round(time.Minute).Minutes()))
	default:
		d = d.Round(10 * time.Minute)
		if minutes := int(d.Minutes()) % 60; minutes > 0 {
			return fmt.Sprintf("about %d h %d min", int(d.Hours()), minutes)
		}
		return fmt.Sprintf("about %d h", int(d.Hours()))
	}
}

// ByteSize writes a number of bytes in decimal units, as disks and registries do:
// "512 B", "1.4 GB", "15 GB". Negative counts as 0.
func ByteSize(n int64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", max(n, 0))
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.5 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	if value < 9.95 {
		return fmt.Sprintf("%.1f %cB", value, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", value, units[unit])
}
