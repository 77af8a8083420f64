package ftpclient_test

import (
	"bytes"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestBuffersGrowWithFiles: connections that carry small files only, of which there may be many, take little memory.
func TestBuffersGrowWithFiles(t *testing.T) {
	t.Parallel()
	s := securities[len(securities)-1]
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{RequireTLS: true})
	conn := dial(t, t.Context(), server.Addr, optionsFor(server, s))
	p := &place{conn: conn, server: server, security: s, folder: conn.Absolute(""), disk: server.Root}
	content := bytes.Repeat([]byte("0123456789abcdef\n"), 100_000)
	for _, step := range []struct {
		size           int
		copying, below int // the buffers, afterwards
	}{{0, 16 << 10, 16<<10 + 256}, {4 << 10, 16 << 10, 16<<10 + 256}, {len(content), 256 << 10, 8 * (16<<10 + 256)}, {100, 256 << 10, 8 * (16<<10 + 256)}} {
		transfer, err := conn.Store(t.Context(), "/file", 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := transfer.ReadFrom(bytes.NewReader(content[:step.size])); err != nil {
			t.Error(err)
		}
		if _, err := transfer.Finish(t.Context()); err != nil {
			t.Error(err)
		}
		if got, _ := p.retrieve(t, "file", 0); !bytes.Equal(got, content[:step.size]) {
			t.Errorf("%d bytes came back as %d others", step.size, len(got))
		}
		if copying, below := conn.BufferSizes(); copying != step.copying || below != step.below {
			t.Errorf("after %d bytes the buffers have %d and %d bytes, want %d and %d", step.size, copying, below, step.copying, step.below)
		}
	}
}
