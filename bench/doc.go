// Package bench compares Stillpoint with embedded Java ScalarDB 3.19.1, with raw
// drivers and with XA done by hand, on the same databases, interleaved in one
// run. Build tag: bench. scripts/compare runs it; docs/benchmarks.md has results.
package bench
