package agent

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/state"
)

// listener is an agent that has nothing but something to show, at an address and with a token.
func listener(t *testing.T, address, token string, logger *slog.Logger) *Agent {
	t.Helper()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return New(listening(address, token), db, Options{Logger: logger, Listen: true})
}

func listening(address, token string) *config.Config {
	cfg := breakerConfig()
	cfg.Agent.Listen, cfg.Agent.ListenToken = address, config.NewSecret(token)
	return cfg
}

// served waits for an address other than was.
func served(t *testing.T, a *Agent, was string) string {
	t.Helper()
	for began := time.Now(); time.Since(began) < 5*time.Minute; time.Sleep(10 * time.Millisecond) {
		if at := a.listening.Load(); at != nil && *at != was {
			return *at
		}
	}
	t.Fatal("it listens nowhere else")
	return ""
}

// asked is the status with which something is answered.
func asked(t *testing.T, at, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return 0
	}
	answer.Body.Close()
	return answer.StatusCode
}

// TestTheSamePortAnswersAllTheTime, though it may take a while from when it is known that another address can be had until the configuration
// is in force. Nobody is let in before that who knows less.
func TestTheSamePortAnswersAllTheTime(t *testing.T) {
	t.Parallel()
	const old, other = "only-for-this-test-0123", "another-one-for-this-test"
	a := listener(t, "0.0.0.0:0", old, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.serveWeb(ctx)
	}()
	defer func() {
		stop()
		<-ended
	}()
	for _, row := range []struct {
		token         string // of the next configuration
		before, after string // who is let in
		taken         bool
	}{{other, other, old, false}, {"", old, "", true}} {
		was := served(t, a, "")
		_, port, err := net.SplitHostPort(was)
		if err != nil {
			t.Fatal(err)
		}
		cfg := listening("127.0.0.1:"+port, row.token)
		end, err := a.prepareWeb(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		at := "http://127.0.0.1:" + port
		if status := asked(t, at+"/healthz", ""); status != http.StatusServiceUnavailable { // nobody works here
			t.Errorf("the state of health before the configuration is in force: %d", status)
		}
		if served(t, a, "") != was { // else this system lets both listen, and the old one answers
			let, kept := asked(t, at+"/page/style.css", ""), asked(t, at+"/metrics", "wrong")
			if in := asked(t, at+"/metrics", row.before); let != http.StatusOK || kept != http.StatusUnauthorized || in != http.StatusOK {
				t.Errorf("before: %d, with a wrong token %d, with the right one %d", let, kept, in)
			}
		}
		if row.taken {
			next := *a
			next.configure(cfg)
			a.current.Store(&next)
		}
		end(row.taken)
		if !row.taken { // it is where it was, which is any port
			_, port, err = net.SplitHostPort(served(t, a, "127.0.0.1:"+port))
			if err != nil {
				t.Fatal(err)
			}
			at = "http://127.0.0.1:" + port
		}
		if status := asked(t, at+"/metrics", row.after); status != http.StatusOK {
			t.Errorf("afterwards: %d", status)
		}
	}
}

// TestWhatIsGivenUpIsOverBeforeTheNextBegins: it may have got the address meanwhile, or be about to tell that it has not.
func TestWhatIsGivenUpIsOverBeforeTheNextBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		for sentence, cfg := range map[string]*config.Config{
			"the same address, that could not be had before": listening(got.Addr().String(), "another-one-for-this-test"),
			"nowhere": listening("", ""),
		} {
			a := listener(t, got.Addr().String(), "only-for-this-test-0123", slog.New(slog.DiscardHandler))
			is := webServing{address: got.Addr().String(), stop: func() {
				synctest.Wait() // whoever tries already fails now
				a.deaf.Store(&webTrouble{time.Now(), "the old one tells"})
			}}
			c := webChange{to: cfg.Agent, opened: make(chan error, 1), taken: make(chan *Agent, 1), done: make(chan struct{})}
			next := *a
			next.configure(cfg)
			c.taken <- &next
			is = a.changeWeb(t.Context(), is, c)
			synctest.Wait()
			deaf := a.deaf.Load()
			if err := <-c.opened; err != nil || deaf != nil && strings.HasPrefix(deaf.text, "the old one") {
				t.Errorf("%s: %v, trouble %+v", sentence, err, deaf)
			}
			is.stop()
		}
	})
}
