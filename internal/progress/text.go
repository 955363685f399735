package progress

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const barWidth = 20

// text is the line of a task that goes on:
//
//	pg      [##########----------]  52 %  214 MB  98 MB/s  2 s left
func (t *Task) text() string {
	done, total := t.done.Load(), t.total.Load()
	var b strings.Builder
	b.WriteString(column(t.name))
	if total > 0 {
		part := min(float64(done)/float64(total), 1)
		full := int(part * barWidth)
		fmt.Fprintf(&b, "[%s%s] %3d %%  ", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), int(part*100))
	}
	b.WriteString(amount(done, t.unit))
	if t.rate > 0 {
		b.WriteString("  " + amount(int64(t.rate), t.unit) + "/s")
	}
	if left, ok := t.left(); ok {
		b.WriteString("  " + span(left) + " left")
	}
	return b.String()
}

// left estimates the time that is left.
func (t *Task) left() (time.Duration, bool) {
	todo := t.total.Load() - t.done.Load()
	if t.total.Load() < 0 || todo <= 0 || t.rate <= 0 {
		return 0, false
	}
	seconds := float64(todo) / t.rate
	if seconds > 1e8 {
		return 0, false
	}
	return time.Duration(math.Ceil(seconds)) * time.Second, true
}

func column(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%-7s ", name)
}

func amount(n int64, unit Unit) string {
	if unit == Bytes {
		return Size(n)
	}
	if n == 1 {
		return "1 " + strings.TrimSuffix(string(unit), "s")
	}
	return Count(n) + " " + string(unit)
}

// Size renders a number of bytes for people, in powers of ten.
func Size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	if v < 9.95 {
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// Count renders a number with commas between thousands.
func Count(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// span renders a time for people.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second && d%time.Second != 0:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
