package sqldb

import (
	"strings"
	"testing"
)

func TestStatementsOfOthersAreShownInOneLineAndWithoutPasswords(t *testing.T) {
	for _, q := range []string{
		"CREATE USER a IDENTIFIED BY 'sesame'", "ALTER ROLE a\nPASSWORD 'sesame'", "set password = 'sesame'", "SELECT dblink('host=h password=sesame')",
	} {
		if got := ShownStatement(q); strings.Contains(got, "sesame") || !strings.Contains(got, "hidden") {
			t.Errorf("%q is shown as %q", q, got)
		}
	}
	for q, want := range map[string]string{"": "", "UPDATE  t\n SET v=1": "UPDATE t SET v=1", "bad \xff": "bad ?", strings.Repeat("ß", 300): strings.Repeat("ß", 200)} {
		if got := ShownStatement(q); got != want {
			t.Errorf("%q is shown as %q", q, got)
		}
	}
}
