package record

import "unicode/utf8"

// parentLen is the length of the first part of a group-commit id, in UTF-16
// units as the writers of such ids count them.
const parentLen = 24

// SplitID splits the id of a transaction that takes part in a group commit of
// another manager: 24 characters name the group, then comes "$", then the
// child. It tells false for a plain id.
func SplitID(id string) (parent, child string, grouped bool) {
	units := 0
	for i, r := range id {
		if units == parentLen {
			if r == '$' {
				return id[:i], id[i+1:], true
			}
			return "", "", false
		}
		units++
		if r > 0xFFFF && utf8.ValidRune(r) {
			units++
		}
		if units > parentLen {
			return "", "", false
		}
	}
	return "", "", false
}

// MaxIDLen is the longest id that every manager handles, in bytes.
const MaxIDLen = 64
