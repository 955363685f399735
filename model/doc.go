// Package model holds the vocabulary that every other room speaks: values and
// their types, keys, rows, conditions, table definitions and error classes.
//
// It is a leaf: it imports nothing of this module and no driver. Everything in
// it is immutable after construction, and therefore safe for concurrent use,
// unless its comment says otherwise.
package model
