package ftpclient_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAServerThatForgetsADataConnection: pyftpdlib 1.5.7 serves all sessions in one event loop, and takes the descriptor of
// an active data connection out of that twice: when it is there, and when its session next asks for a data connection, or
// ends. By then the number may be that of another session's listener, which nobody looks at any more. Any two clients can
// do that to each other, of which one uses PORT. The server says 421 after 30 s; this client gives up when its own time is
// over, and knows that the upload may be nowhere.
func TestAServerThatForgetsADataConnection(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	o := optionsFor(server, securities[0])
	o.FinalReplyTimeout = 4 * time.Second
	o.Data.Policy = ftpclient.DataActiveOnly
	active := dial(t, t.Context(), server.Addr, o)

	o.Data.Policy = ftpclient.DataAuto
	o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return beforeEPSV{conn, func() { active.Close() }}, err
	}
	passive := dial(t, t.Context(), server.Addr, o)
	if _, err := put(t.Context(), active, active.Absolute("first"), strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}

	file := passive.Absolute("second")
	began := time.Now()
	_, err := put(t.Context(), passive, file, strings.NewReader("hello"))
	if took := time.Since(began); !errors.Is(err, ftpclient.ErrUnconfirmed) || took > atOnce {
		t.Errorf("%v after %s", err, took)
	}
	again, err := passive.Redial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.VerifySize(t.Context(), file, 5); !errors.Is(err, ftpclient.ErrMismatch) {
		t.Errorf("the file that %s did not read: %v", server.Name, err)
	}
	if _, err := put(t.Context(), again, file, strings.NewReader("hello")); err != nil {
		t.Errorf("the next attempt: %v", err)
	}
}

// beforeEPSV does something when the server listens, and before the client knows.
type beforeEPSV struct {
	net.Conn
	do func()
}

func (b beforeEPSV) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if bytes.HasPrefix(p[:n], []byte("229 ")) {
		b.do()
	}
	return n, err
}
