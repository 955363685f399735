// Package storagetest is the conformance suite of storages: what package storage
// promises, tried on a real database. Every adapter's own test calls Run, and so
// can that of an adapter made elsewhere.
package storagetest
