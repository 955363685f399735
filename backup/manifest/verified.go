package manifest

import (
	"encoding/json"
	"time"

	"github.com/stillpoint-db/stillpoint/model"
)

// VerifiedNote is the name of the note that says how far a backup was verified.
const VerifiedNote = "verified"

// Depth says how far a backup was verified.
type Depth string

// The depths, each including those before it.
const (
	Files    Depth = "files"         // every file is there with its size and checksum
	Contents Depth = "contents"      // every row decodes, is of its table, has a key of its own; counts agree
	Trial    Depth = "trial-restore" // restored into scratch and checked
)

// Verified is the record of the last verification, beside the manifest.
type Verified struct {
	Depth    Depth     `json:"depth"`
	At       time.Time `json:"at"`
	Sound    bool      `json:"sound"`
	Problems []string  `json:"problems,omitempty"` // the first few
	// Inconsistent says which rule the data breaks, as it did when it was backed
	// up; "" = none, or Depth is less than Trial.
	Inconsistent string `json:"inconsistent,omitempty"`
	Stillpoint   string `json:"stillpoint,omitempty"`
}

// Encode renders the record.
func (v *Verified) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// DecodeVerified reads a record: model.ErrDamaged if it is not one.
func DecodeVerified(data []byte) (*Verified, error) {
	var v Verified
	if err := json.Unmarshal(data, &v); err != nil || v.Depth == "" {
		return nil, model.Errorf(model.ErrDamaged, "the record of the last verification cannot be read")
	}
	return &v, nil
}
