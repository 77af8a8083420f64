package control

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// reluctant takes its time to break jobs off.
type reluctant struct{ fake }

func (reluctant) DropJobs(context.Context, JobFilter) (Changed, error) {
	time.Sleep(10 * time.Minute)
	return Changed{Jobs: 1, BrokenOff: 1}, nil
}

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if connection, ok := <-p; ok {
		return connection, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error { close(p); return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestADropMayTakeLong: it waits for transfers that end, for longer than there is time for other answers.
func TestADropMayTakeLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		listener := make(pipes)
		web := newWeb("")
		web.Service = reluctant{}
		ended := make(chan error, 1)
		var server WebServer
		server.Show(web)
		go func() { ended <- server.Serve(ctx, listener, slog.New(slog.DiscardHandler)) }()
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			listener <- there
			return here, nil
		}}}
		r, err := http.NewRequestWithContext(ctx, "POST", "http://localhost/v1/jobs/drop", strings.NewReader(`{"ids":[7]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(RequestHeader, "page")
		answer, err := client.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%v, %v", answer, err)
		} else {
			answer.Body.Close()
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
