package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestBars draws to what is no terminal, which gets all that a terminal gets but for the cursor.
func TestBars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBars(&out)
	b.show([]barRow{{"1", "a.iso", 1 << 20, 1 << 19, 1 << 18}, {"2", "of unknown size", -1, 1 << 10, 0}})
	fmt.Fprintln(b, "b.txt is there")
	b.show([]barRow{{"2", "of unknown size", -1, 1 << 11, 0}})
	b.show(nil)
	b.end()
	if !strings.Contains(out.String(), "b.txt is there\n") {
		t.Errorf("%q", &out)
	}
	for _, row := range []struct {
		name string
		row  barRow
		want string
	}{
		{"half of it", barRow{"", "", 1 << 20, 1 << 19, 1 << 18}, "50% 512.0 KiB 256.0 KiB/s 2s"},
		{"nobody knows the size", barRow{"", "", -1, 1 << 10, 0}, "1.0 KiB 0 B/s"},
		{"all of it", barRow{"", "", 1 << 10, 1 << 10, 1}, "100% 1.0 KiB 1 B/s"},
		{"nothing in it", barRow{"", "", 0, 0, 0}, "0 B 0 B/s"},
	} {
		if got := strings.Join(strings.Fields(barText(row.row)), " "); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
	for _, name := range []string{"", "a", strings.Repeat("ü", barName), strings.Repeat("long", 100), "control\x1b[2J", strings.Repeat("写真", 20), "x" + strings.Repeat("写真", 20)} {
		if got := barTitle(name); columnsOf(got) != barName+1 || strings.ContainsRune(got, '\x1b') {
			t.Errorf("%q: %q", name, got)
		}
	}
}
