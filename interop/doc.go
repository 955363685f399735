// Package interop holds the tests of Stillpoint beside Java ScalarDB 3.19.1 on
// the same tables: who made them, who wrote what the other reads, who recovers
// what the other left when it died. Build tag: java, with servers and failpoints.
package interop
