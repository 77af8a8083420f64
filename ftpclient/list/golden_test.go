package list

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// now is the time at which all listings of the tests were taken, in a leap year.
var now = time.Date(2024, time.March, 5, 12, 0, 0, 0, time.UTC)

// golden is a Listing as it is written down in testdata.
type golden struct {
	Format   string
	Entries  []goldenEntry
	Unparsed []string
}

type goldenEntry struct {
	Name      string
	Type      string
	Size      int64
	ModTime   string `json:",omitempty"`
	Precision string `json:",omitempty"`
	Mode      string `json:",omitempty"`
	Target    string `json:",omitempty"`
	Unique    string `json:",omitempty"`
	Perm      string `json:",omitempty"`
}

func goldenOf(l Listing) golden {
	result := golden{Format: l.Format}
	for _, line := range l.Unparsed {
		result.Unparsed = append(result.Unparsed, printable(line))
	}
	for _, e := range l.Entries {
		g := goldenEntry{Name: printable(e.Name), Type: e.Type.String(), Size: e.Size, Target: printable(e.Target), Unique: e.Unique, Perm: e.Perm}
		if !e.ModTime.IsZero() {
			g.ModTime = e.ModTime.Format(time.RFC3339Nano)
			g.Precision = e.Precision.String()
		}
		if e.HasMode {
			g.Mode = e.Mode.String()
		}
		result.Entries = append(result.Entries, g)
	}
	return result
}

// printable writes the bytes that are no UTF-8, which JSON cannot hold, as "\\xe9".
func printable(s string) string {
	var result strings.Builder
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)) {
			fmt.Fprintf(&result, `\x%02x`, s[i])
			continue
		}
		result.WriteRune(r)
	}
	return result.String()
}

func TestListingsOfTheCommonServers(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no listings in testdata: %v", err)
	}
	lines := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
			lines += bytes.Count(text, []byte("\n"))
			got := goldenOf(Parse(text, Options{Now: now}))
			if crlf := goldenOf(Parse(bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), Options{Now: now})); !cmp.Equal(got, crlf) {
				t.Errorf("lines that end with LF and CRLF differ:\n%s", cmp.Diff(got, crlf))
			}
			compareWithGolden(t, strings.TrimSuffix(file, ".txt")+".json", got)
		})
	}
	if lines < 250 {
		t.Errorf("the corpus has %d lines, want at least 250", lines)
	}
}

func compareWithGolden(t *testing.T, file string, got golden) {
	t.Helper()
	if *update {
		text, err := marshalLines(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run the test with -update and review the new file", err)
	}
	var want golden
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", file, diff)
	}
}

// marshalLines writes one entry a line, so that a changed entry is one changed line for a reviewer.
func marshalLines(g golden) ([]byte, error) {
	var buffer bytes.Buffer
	fmt.Fprintf(&buffer, "{\n  \"Format\": %q,\n", g.Format)
	array := func(key string, length int, item func(i int) any, end string) error {
		if length == 0 {
			fmt.Fprintf(&buffer, "  %q: null%s\n", key, end)
			return nil
		}
		fmt.Fprintf(&buffer, "  %q: [\n", key)
		for i := range length {
			buffer.WriteString("    ")
			encoder := json.NewEncoder(&buffer)
			encoder.SetEscapeHTML(false)
			if err := encoder.Encode(item(i)); err != nil {
				return err
			}
			if i < length-1 {
				buffer.Truncate(buffer.Len() - 1)
				buffer.WriteString(",\n")
			}
		}
		fmt.Fprintf(&buffer, "  ]%s\n", end)
		return nil
	}
	if err := array("Entries", len(g.Entries), func(i int) any { return g.Entries[i] }, ","); err != nil {
		return nil, err
	}
	if err := array("Unparsed", len(g.Unparsed), func(i int) any { return g.Unparsed[i] }, ""); err != nil {
		return nil, err
	}
	buffer.WriteString("}\n")
	return buffer.Bytes(), nil
}
