package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
)

// What Dial may find.
var (
	// ErrNotRunning: no agent runs with this state folder.
	ErrNotRunning = errors.New("no agent is running")
	// ErrNotAllowed: nobody can tell, as the state folder or its socket belongs to another user.
	ErrNotAllowed = errors.New("no right to talk to the agent: do this as the user that it runs as, or with sudo")
	// ErrNoAnswer: something holds the socket and does not answer.
	ErrNoAnswer = errors.New("the running agent does not answer: it hangs, or this machine is very busy; its log may say why")
)

// ErrGone: the agent ended before it answered.
var ErrGone = errors.New("the running agent went away")

// Client is a Service in another process.
type Client struct{ http *http.Client }

// Dial returns a client of the agent that runs with this state folder, or ErrNotRunning, ErrNotAllowed or ErrNoAnswer.
func Dial(ctx context.Context, stateDir string) (*Client, error) {
	return dial(ctx, ways[0], stateDir)
}

func dial(ctx context.Context, by way, stateDir string) (*Client, error) {
	transport, err := by.transport(stateDir)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return nil, fmt.Errorf("%w (%w)", ErrNotAllowed, err)
		}
		return nil, fmt.Errorf("%w (%w)", ErrNotRunning, err)
	}
	client := &Client{&http.Client{Transport: transport}}
	// A socket takes connections for an agent that hangs too.
	pinging, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if err := client.post(pinging, "/v1/ping", struct{}{}, nil); err != nil {
		return nil, dialError(ctx, stateDir, err)
	}
	return client, nil
}

// dialError says what it means that nobody has answered.
func dialError(ctx context.Context, stateDir string, err error) error {
	var late net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrNoAnswer, context.Cause(ctx))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (%s)", ErrNotAllowed, stateDir)
	case errors.As(err, &late) && late.Timeout():
		return ErrNoAnswer
	case errors.Is(err, errStale):
		return fmt.Errorf("%w with the state in %s (%w)", ErrNotRunning, stateDir, errStale)
	}
	return fmt.Errorf("%w with the state in %s", ErrNotRunning, stateDir)
}

// Health implements Service.
func (c *Client) Health(ctx context.Context) error { return c.post(ctx, "/v1/health", struct{}{}, nil) }

// Pass implements Service.
func (c *Client) Pass(ctx context.Context, syncs []string) (report Report, err error) {
	err = c.post(ctx, "/v1/pass", syncsRequest{syncs}, &report)
	return report, err
}

// FullPass implements Service.
func (c *Client) FullPass(ctx context.Context, syncs []string) (report Report, err error) {
	err = c.post(ctx, "/v1/full-pass", syncsRequest{syncs}, &report)
	return report, err
}

// Plan implements Service.
func (c *Client) Plan(ctx context.Context, syncs []string) (plans []SyncPlan, err error) {
	err = c.post(ctx, "/v1/plan", syncsRequest{syncs}, &plans)
	return plans, err
}

// Approve implements Service.
func (c *Client) Approve(ctx context.Context, request ApproveRequest) error {
	return c.post(ctx, "/v1/approve", request, nil)
}

func (c *Client) post(ctx context.Context, path string, request, into any) error {
	response, err := c.send(ctx, path, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return brokenAnswer(err)
	}
	return nil
}

// send returns the answer to a request that was not refused.
func (c *Client) send(ctx context.Context, path string, body any) (*http.Response, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return c.do(request)
}

// do is http.Client.Do, with what was refused as an error.
func (c *Client) do(request *http.Request) (*http.Response, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGone, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusServiceUnavailable {
		return nil, ErrGone
	}
	var failure errorResponse
	if err := json.NewDecoder(response.Body).Decode(&failure); err != nil || failure.Error == "" {
		return nil, fmt.Errorf("running agent: %s (is it of another version?)", response.Status)
	}
	// The words of the sentinel are in those of the agent.
	switch response.StatusCode {
	case http.StatusNotFound:
		return nil, refusal{ErrUnknownSync, failure.Error}
	case http.StatusConflict:
		return nil, refusal{ErrConfiguration, failure.Error}
	case http.StatusBadRequest:
		return nil, refusal{ErrInvalid, failure.Error}
	}
	return nil, fmt.Errorf("running agent: %s", failure.Error)
}

// refusal is an error of the agent's in its own words.
type refusal struct {
	sentinel error
	text     string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.sentinel }

// brokenAnswer tells an answer that was cut short from one that makes no sense.
func brokenAnswer(err error) error {
	var broken net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return fmt.Errorf("answer of the running agent (is it of another version?): %w", err)
}
