package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// line is one line of an answer that may be long: a row, or the last line, which is the end or says what went wrong. An answer
// without it was cut short.
type line[Row, End any] struct {
	Row   *Row   `json:"row,omitempty"`
	End   End    `json:"end,omitempty"`
	Last  bool   `json:"last,omitempty"`
	Error string `json:"error,omitempty"`
}

// streamBuffer is how much is put together before it is sent, in bytes.
const streamBuffer = 32 << 10

// stream answers line by line, with bounded memory.
func stream[Request, Row, End any](do func(context.Context, Request, func(Row) error) (End, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if err := readRequest(w, r, &request); err != nil {
			refuse(w, r, err)
			return
		}
		buffer := bufio.NewWriterSize(w, streamBuffer)
		encoder := json.NewEncoder(buffer)
		begun := false
		begin := func() {
			if !begun {
				w.Header().Set("Content-Type", "application/x-ndjson")
			}
			begun = true
		}
		end, err := do(r.Context(), request, func(row Row) error {
			begin()
			return encoder.Encode(line[Row, End]{Row: &row})
		})
		switch {
		case err != nil && !begun:
			refuse(w, r, err)
			return
		case err != nil && statusOf(r, err) != http.StatusServiceUnavailable:
			encoder.Encode(line[Row, End]{Error: err.Error()})
		case err == nil:
			begin()
			encoder.Encode(line[Row, End]{End: end, Last: true})
		}
		buffer.Flush() // who does not listen any more needs no answer
	}
}

// receive reads what stream has sent.
func receive[Row, End any](ctx context.Context, c *Client, path string, request any, each func(Row) error) (end End, err error) {
	response, err := c.send(ctx, path, request)
	if err != nil {
		return end, err
	}
	defer response.Body.Close()
	for decoder := json.NewDecoder(response.Body); ; {
		var l line[Row, End]
		if err := decoder.Decode(&l); err != nil {
			return end, brokenAnswer(err)
		}
		switch {
		case l.Row != nil:
			if err := each(*l.Row); err != nil {
				return end, err
			}
		case l.Error != "":
			return end, fmt.Errorf("running agent: %s", l.Error)
		case l.Last:
			return l.End, nil
		}
	}
}

func sendSnapshot(w http.ResponseWriter, r *http.Request, service Service) {
	if err := readRequest(w, r, &struct{}{}); err != nil {
		refuse(w, r, err)
		return
	}
	file, size, err := service.Snapshot(r.Context())
	if err != nil {
		refuse(w, r, err)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	// By its length the client knows when the answer was cut short.
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	io.Copy(w, file)
}

// Jobs implements Service.
func (c *Client) Jobs(ctx context.Context, filter JobFilter, each func(Job) error) ([]SyncJobs, error) {
	return receive[Job, []SyncJobs](ctx, c, "/v1/jobs", filter, each)
}

// RetryJobs implements Service.
func (c *Client) RetryJobs(ctx context.Context, filter JobFilter) (changed Changed, err error) {
	err = c.post(ctx, "/v1/jobs/retry", filter, &changed)
	return changed, err
}

// DropJobs implements Service.
func (c *Client) DropJobs(ctx context.Context, filter JobFilter) (changed Changed, err error) {
	err = c.post(ctx, "/v1/jobs/drop", filter, &changed)
	return changed, err
}

// History implements Service.
func (c *Client) History(ctx context.Context, filter HistoryFilter, each func(HistoryRow) error) error {
	_, err := receive[HistoryRow, struct{}](ctx, c, "/v1/history", filter, each)
	return err
}

// Snapshot implements Service. Reading what it returns ends in ErrGone if the agent ends meanwhile.
func (c *Client) Snapshot(ctx context.Context) (io.ReadCloser, int64, error) {
	response, err := c.send(ctx, "/v1/snapshot", struct{}{})
	if err != nil {
		return nil, 0, err
	}
	return snapshotBody{response.Body}, response.ContentLength, nil
}

type snapshotBody struct{ io.ReadCloser }

func (b snapshotBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = brokenAnswer(err)
	}
	return n, err
}
