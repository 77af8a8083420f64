package ftptest

import (
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestLeaksFindsGoroutinesAndDescriptors(t *testing.T) {
	blocked := make(chan struct{})
	listener, err := net.Listen("tcp", "127.0.0.1:0") // wakes up what the runtime keeps for itself
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, c := range []struct {
		name  string
		leave func() (undo func())
		want  string // "" for no complaint
	}{
		{"nothing is left", func() func() { return func() {} }, ""},
		{"a goroutine is left", func() func() {
			go func() { <-blocked }()
			return func() { close(blocked) }
		}, "left behind"},
		{"a connection is forgotten", func() func() {
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s is not closed", conn.LocalAddr())
			return runtime.GC // which closes it
		}, "left open"},
		{"a file is left", func() func() {
			file, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			return func() { file.Close() }
		}, "left open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == "left open" && runtime.GOOS != "linux" {
				return // nobody tells what is open
			}
			r := &recorder{TB: t}
			patience := time.Millisecond // what is left is left for ever
			if c.want == "" {
				patience = leakPatience
			}
			leaksAfter(r, patience)
			undo := c.leave()
			r.end()
			undo()
			if got := strings.Join(r.errors, "\n"); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
