package repo

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

const idTime = "20060102T150405Z"

var idPattern = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{4}$`)

// NewID makes the id of a backup begun now, as in 20261122T083001Z-7f3a. Ids
// sort by time.
func NewID(now time.Time) string {
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	return now.UTC().Format(idTime) + "-" + hex.EncodeToString(b[:])
}

// ParseID tells when the backup of an id was begun: model.ErrBadArgument if it
// is not the id of a backup.
func ParseID(id string) (time.Time, error) {
	if idPattern.MatchString(id) {
		if t, err := time.Parse(idTime, id[:len(idTime)]); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &model.Error{Class: model.ErrBadArgument, Detail: "\"" + strings.ToValidUTF8(id, "?") + "\" is not the id of a backup, which looks like 20261122T083001Z-7f3a",
		Hint: "See them with: stillpoint backup list --repo FOLDER"}
}

// mostName is the most bytes of a part of a path. File systems take 255; those
// that encrypt names, 143.
const mostName = 140

// Path joins parts into the name of a file. Whatever a part holds, it stays one
// part: characters other than letters, digits, '.', '_' and '-' are written as
// %XX, and so is a dot in front. Of a part that is too long for a file system the
// beginning is kept, and a hash of all of it put in the place of the rest.
func Path(parts ...string) string {
	names := make([]string, len(parts))
	for i, p := range parts {
		if names[i] = escape(p); len(names[i]) > mostName {
			sum := sha256.Sum256([]byte(p))
			names[i] = names[i][:mostName-17] + "-" + hex.EncodeToString(sum[:8])
		}
	}
	return strings.Join(names, "/")
}

func escape(part string) string {
	var b strings.Builder
	for i := range len(part) {
		switch c := part[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-', c == '.' && i > 0:
			b.WriteByte(c)
		default:
			const hexDigits = "0123456789ABCDEF"
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		}
	}
	return b.String()
}

var namePattern = regexp.MustCompile(`^([A-Za-z0-9_%-][A-Za-z0-9_.%-]*/)*[A-Za-z0-9_%-][A-Za-z0-9_.%-]*$`)

// checkName refuses a file name that could point outside of its backup.
func checkName(name string) error {
	if !namePattern.MatchString(name) {
		return model.Errorf(model.ErrBadArgument, "%q is not the name of a file in a backup", name)
	}
	return nil
}
