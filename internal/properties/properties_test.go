package properties_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	oracle "github.com/magiconair/properties"

	"github.com/stillpoint-db/stillpoint/internal/properties"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []properties.Property
	}{
		{"separators", "a=1\nb:2\nc 3\nd = 4\ne : 5\nf\t6\ng", []properties.Property{
			{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 4}, {"e", "5", 5}, {"f", "6", 6}, {"g", "", 7}}},
		{"only one separator is taken", "a==1\nb =: 2\nc  =  = 3", []properties.Property{
			{"a", "=1", 1}, {"b", ": 2", 2}, {"c", "= 3", 3}}},
		{"trailing blanks stay", "a = 1  \n", []properties.Property{{"a", "1  ", 1}}},
		{"comments and blank lines", "# x=1\n  ! y=2\n\n \t\nz=3 # not a comment\n", []properties.Property{{"z", "3 # not a comment", 5}}},
		{"a comment does not continue", "# x \\\na=1", []properties.Property{{"a", "1", 2}}},
		{"continuation", "a = 1,\\\n    2,\\\r\n\t3\nb=4", []properties.Property{{"a", "1,2,3", 1}, {"b", "4", 4}}},
		{"a comment sign on a continued line is text", "a=1\\\n#2", []properties.Property{{"a", "1#2", 1}}},
		{"a blank line ends a continuation", "a=1\\\n\nb=2", []properties.Property{{"a", "1", 1}, {"b", "2", 3}}},
		{"an even number of backslashes does not continue", "a=1\\\\\nb=2", []properties.Property{{"a", `1\`, 1}, {"b", "2", 2}}},
		{"a backslash at the end of the file", `a=1\`, []properties.Property{{"a", "1", 1}}},
		{"escaped separators in the key", `a\=b\:c\ d=1`, []properties.Property{{"a=b:c d", "1", 1}}},
		{"escapes", `a=\t\n\r\f\q\\\=`, []properties.Property{{"a", "\t\n\r\fq\\=", 1}}},
		{"unicode escapes", `k\u00fc=\u3042\uD83D\uDE00`, []properties.Property{{"kü", "あ😀", 1}}},
		{"half a surrogate pair", `a=\uD83Dx\uDE00`, []properties.Property{{"a", "\uFFFDx\uFFFD", 1}}},
		{"all line ends", "a=1\rb=2\r\nc=3\n\rd=4", []properties.Property{{"a", "1", 1}, {"b", "2", 2}, {"c", "3", 3}, {"d", "4", 5}}},
		{"byte order mark", "\xef\xbb\xbfa=1", []properties.Property{{"a", "1", 1}}},
		{"UTF-8", "a=\xc3\xbc", []properties.Property{{"a", "ü", 1}}},
		{"ISO-8859-1", "a=\xfc", []properties.Property{{"a", "ü", 1}}},
		{"the same key twice", "a=1\na=2", []properties.Property{{"a", "1", 1}, {"a", "2", 2}}},
		{"an empty key", "=1", []properties.Property{{"", "1", 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := properties.Parse([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("want(-) got(+):\n%s", diff)
			}
		})
	}
}

func TestMalformedUnicodeEscapeNamesItsLine(t *testing.T) {
	for _, in := range []string{`a=\u12`, `a=\u12xz`, `\u=1`, "b=1\na=\\u\\\n12"} {
		_, err := properties.Parse([]byte("# first\n" + in))
		var syntax *properties.SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: got %v", in, err)
		} else if want := 2 + strings.Count(in, "b=1"); syntax.Line != want {
			t.Errorf("%q: line %d, want %d", in, syntax.Line, want)
		}
	}
}

// FuzzParseAgreesWithOracle compares with another implementation of the format.
func FuzzParseAgreesWithOracle(f *testing.F) {
	for _, s := range []string{
		"a=1", "a = b\\\n  c", "# c\n! d\na\\ b:c", `k=\u00fc\t\\`, "a==1\r\nb", "\xfc=1", "a=\\u12", "scalar.db.contact_points=jdbc:sqlite:x?a=b&c=d\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		props, err := properties.Parse(data)
		emptyKey := false
		for _, p := range props {
			emptyKey = emptyKey || p.Key == ""
			if !utf8.ValidString(p.Key) || !utf8.ValidString(p.Value) {
				t.Fatalf("not UTF-8: %+v", p)
			}
			if p.Line < 1 || p.Line > 1+bytes.Count(data, []byte("\n"))+bytes.Count(data, []byte("\r")) {
				t.Fatalf("line %d of %q", p.Line, data)
			}
		}
		if !comparable(data) || emptyKey { // Java allows an empty key, the oracle does not
			return
		}
		loader := oracle.Loader{Encoding: oracle.UTF8, DisableExpansion: true}
		want, wantErr := loader.LoadBytes(data)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: ours says %v, the oracle %v", data, err, wantErr)
		}
		if err != nil {
			return
		}
		got := map[string]string{}
		for _, p := range props {
			got[p.Key] = p.Value
		}
		if diff := cmp.Diff(want.Map(), got); diff != "" {
			t.Fatalf("%q: oracle(-) ours(+):\n%s", data, diff)
		}
	})
}

// comparable tells whether the oracle follows Java on this input: it differs on
// other encodings, carriage returns, surrogates, stray backslashes at the end of
// the file, and keys that go on on the next line.
func comparable(data []byte) bool {
	for line := range bytes.Lines(data) {
		before, _, ok := bytes.Cut(line, []byte("="))
		if bytes.HasSuffix(line, []byte("\\\n")) && (!ok || bytes.ContainsAny(before, `\#!`)) {
			return false
		}
	}
	return utf8.Valid(data) && !bytes.ContainsAny(data, "\r\x00") && !bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) &&
		!bytes.Contains(data, []byte(`\u`)) && !bytes.HasSuffix(data, []byte(`\`))
}
