package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEventsComeToTheClient(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var got []Event
		err := dialed(t, by).Events(ctx, 41, func(e Event) error {
			got = append(got, e)
			stop()
			return nil
		})
		if diff := cmp.Diff([]Event{{ID: 42, Kind: "done", Path: "a\xff\n"}}, got); !errors.Is(err, context.Canceled) || diff != "" {
			t.Errorf("%v, %s", err, diff)
		}
		enough := errors.New("enough")
		if err := dialed(t, by).Events(t.Context(), EventsRemembered, func(Event) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("%v, want the error of the caller", err)
		}
	})
}

// TestEventsEndWithTheAgent, and whoever reads them is told so.
func TestEventsEndWithTheAgent(t *testing.T) {
	overEachWay(t, func(t *testing.T, by way) {
		dir := t.TempDir()
		listener, err := by.listen(dir)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, listener, fake{}, slog.New(slog.DiscardHandler)) }()
		client, err := dial(t.Context(), by, dir)
		if err != nil {
			t.Fatal(err)
		}
		err = client.Events(t.Context(), EventsRemembered, func(Event) error {
			stop()
			return nil
		})
		if !errors.Is(err, ErrGone) {
			t.Errorf("%v, want ErrGone", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// eventStream returns what GET /v1/events answers to a request.
func eventStream(t *testing.T, service Service, change func(r *http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events", nil)
	change(r)
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		handler(service).ServeHTTP(w, r)
	}()
	synctest.Wait()
	stop()
	<-done
	return w
}

func TestWhereEventsBegin(t *testing.T) {
	for sentence, row := range map[string]struct {
		header, query string
		want          string
	}{
		"nobody has seen any: with the next one":    {"", "", "id: 0\n"}, // the fake one adds one to what it is asked for
		"a browser connects again":                  {"7", "", "id: 8\nevent: done\ndata: {\"id\":8,"},
		"a page asks for those that are remembered": {"", "?after=0", "id: 1\n"},
		"what was seen last counts":                 {"7", "?after=0", "id: 8\n"},
		"nonsense":                                  {"x", "", `is not the number of an event`},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := eventStream(t, fake{}, func(r *http.Request) {
					r.URL.RawQuery = strings.TrimPrefix(row.query, "?")
					if row.header != "" {
						r.Header.Set("Last-Event-ID", row.header)
					}
				})
				if !strings.Contains(w.Body.String(), row.want) || (w.Code == http.StatusOK) != strings.HasPrefix(row.want, "id") {
					t.Errorf("%d %q", w.Code, w.Body)
				}
			})
		})
	}
}

// TestSilenceIsTold, so that both ends see that the other is there.
func TestSilenceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, ended := make(chan Event), make(chan struct{})
		w := httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			writeEvents(w, events, ended)
		}()
		time.Sleep(2*keepAlive + 1)
		close(ended)
		<-done
		if got := w.Body.String(); got != ": nothing happens\n\n: nothing happens\n\n" {
			t.Errorf("%q", got)
		}
		if err := readEvents(w.Body, func(e Event) error { return errors.New("a comment is no event") }); !errors.Is(err, ErrGone) {
			t.Errorf("%v, want ErrGone", err)
		}
	})
}

func TestAStreamOfEventsThatMakesNoSense(t *testing.T) {
	err := readEvents(strings.NewReader("data: {]\n\n"), func(Event) error { return nil })
	if err == nil || errors.Is(err, ErrGone) || !strings.Contains(err.Error(), "another version") {
		t.Error(err)
	}
	err = readEvents(io.MultiReader(strings.NewReader("data: {"), strings.NewReader(strings.Repeat("x", maxEvent))), func(Event) error { return nil })
	if err == nil {
		t.Error("an event without an end")
	}
}
