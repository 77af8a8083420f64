package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Event is one thing that happened, told after it was committed.
type Event struct {
	// ID goes up by one with each event, and further up when an agent starts: numbers of agents before are smaller.
	ID   uint64    `json:"id"`
	When time.Time `json:"when"`
	// Kind is the kind of the activity, such as "done" or "paused", or EventLost.
	Kind   string     `json:"kind"`
	Sync   string     `json:"sync,omitempty"`
	Server string     `json:"server,omitempty"`
	Path   state.Text `json:"path,omitempty"`
	Job    uint64     `json:"job,omitempty"`
	// Action is the kind of the job, and Text the reason, for people, in one line.
	Action string `json:"action,omitempty"`
	Text   string `json:"text,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
	TookMS int64  `json:"took_ms,omitempty"`
	// Verified says how it was made sure that all bytes arrived, Data which data channel they took.
	Verified string `json:"verified,omitempty"`
	Data     string `json:"data,omitempty"`
	// Already says of a job that is done that there was nothing to do: what it was to bring about was there.
	Already bool `json:"already,omitempty"`
	// Missed, of an event of the kind EventLost, is how many events before this one were forgotten before the reader got to
	// them.
	Missed uint64 `json:"missed,omitempty"`
}

// EventLost: the reader was too slow, or asked too late.
const EventLost = "lost"

// Where Events begins, beside behind the number of an event.
const (
	EventsRemembered uint64 = 0              // with the oldest that is remembered
	EventsNew        uint64 = math.MaxUint64 // with the next one
)

// mostLast bounds EventsLast.
const mostLast = 1 << 20

// EventsLast has Events begin with the last n of those that are remembered.
func EventsLast(n uint64) uint64 { return EventsNew - min(n, mostLast) }

// LastEvents is the n of EventsLast; false if after is not of that.
func LastEvents(after uint64) (n uint64, ok bool) {
	return EventsNew - after, EventsNew-after <= mostLast
}

// keepAlive is how often something is sent where nothing happens, so that both ends see that the other is there.
const keepAlive = 15 * time.Second

// eventPatience is how long a reader may take to make room for more.
const eventPatience = time.Minute

// sendEvents answers GET /v1/events by server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). They
// begin behind the number in the header Last-Event-ID or, without, in the parameter after; without both, with the next event.
func sendEvents(w http.ResponseWriter, r *http.Request, service Service) {
	after, err := eventsAfter(r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	ctx, stop := context.WithCancel(r.Context())
	events, ended := make(chan Event), make(chan struct{})
	go func() {
		defer close(ended)
		service.Events(ctx, after, func(e Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	writeEvents(w, events, ended)
	stop()
	<-ended
}

// writeEvents returns when ended is closed, or nobody reads any more.
func writeEvents(w http.ResponseWriter, events <-chan Event, ended <-chan struct{}) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	connection := http.NewResponseController(w)
	connection.SetReadDeadline(time.Time{}) // which is for requests that are cut short
	flush := func() error {
		connection.SetWriteDeadline(time.Now().Add(eventPatience)) // also in place of one for answers as a whole
		return connection.Flush()
	}
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for err := flush(); err == nil; err = flush() { // the first one sends the header: the reader is heard
		select {
		case e := <-events:
			data, err := json.Marshal(e)
			if err != nil {
				return
			}
			fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data)
		case <-alive.C:
			io.WriteString(w, ": nothing happens\n\n")
		case <-ended:
			return
		}
	}
}

func eventsAfter(r *http.Request) (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return EventsNew, nil
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not the number of an event", ErrInvalid, text)
	}
	return after, nil
}

// maxEvent bounds one line of the stream, in bytes: a path and a reason.
const maxEvent = 1 << 20

// Events implements Service. It ends in ErrGone when the agent does.
func (c *Client) Events(ctx context.Context, after uint64, each func(Event) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/v1/events", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Last-Event-ID", strconv.FormatUint(after, 10))
	response, err := c.do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := readEvents(response.Body, each); ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// readEvents reads what sendEvents has sent, until each returns an error. The end of the stream is ErrGone: it has none by itself.
func readEvents(r io.Reader, each func(Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		data, isData := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !isData {
			continue // the rest repeats what is in the data, or is a comment
		}
		var e Event
		if err := json.Unmarshal(data, &e); err != nil {
			return brokenAnswer(err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return brokenAnswer(err)
	}
	return ErrGone
}
