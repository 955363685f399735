package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stillpoint-db/stillpoint/config"
)

var update = flag.Bool("update", false, "rewrite the table in docs/configuration.md")

const page = "../docs/configuration.md"

func TestDocumentationShowsTheTableOfKeys(t *testing.T) {
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(data), "<!-- keys:")
	comment, rest, ok2 := strings.Cut(rest, "-->\n")
	shown, after, ok3 := strings.Cut(rest, "<!-- /keys -->")
	if !ok1 || !ok2 || !ok3 {
		t.Fatalf("%s has no marks for the table of keys", page)
	}
	want := table()
	if *update {
		text := before + "<!-- keys:" + comment + "-->\n" + want + "<!-- /keys -->" + after
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("%s differs from the table in the code; run with -update. code(-) page(+):\n%s", page, diff)
	}
}

func table() string {
	var b strings.Builder
	b.WriteString("| key | what it sets | ours | Java | why they differ |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range config.Keys() {
		name := "`" + k.Name + "`"
		if k.PerStorage() {
			name += " *"
		}
		b.WriteString("| " + strings.Join([]string{name, k.Doc, orNone(k.Ours), orNone(k.Java), k.Why}, " | ") + " |\n")
	}
	b.WriteString("\nThese are known and have no effect; one that asks for something else than what happens is mentioned in the log:\n\n")
	b.WriteString("| key | why |\n| --- | --- |\n")
	for _, k := range config.Unused() {
		b.WriteString("| `" + k.Name + "` | " + k.Why + " |\n")
	}
	return b.String()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func TestNoKeyIsBothUsedAndUnused(t *testing.T) {
	used := map[string]bool{}
	for _, k := range config.Keys() {
		if used[k.Name] {
			t.Errorf("%s is in the table twice", k.Name)
		}
		used[k.Name] = true
	}
	for _, k := range config.Unused() {
		if used[k.Name] || k.Why == "" {
			t.Errorf("%s is used, or has no reason", k.Name)
		}
	}
}

func TestEveryDifferenceFromJavaHasAReason(t *testing.T) {
	for _, k := range config.Keys() {
		if k.Doc == "" {
			t.Errorf("%s has no description", k.Name)
		}
		if differs := k.Java != "-" && k.Ours != k.Java && k.Ours != "must be given"; differs && k.Why == "" && k.Ours != "" {
			t.Errorf("%s is %s here and %s in Java, and nothing says why", k.Name, k.Ours, k.Java)
		}
	}
}
