package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// ErrNotRunning: no agent runs with this state folder.
var ErrNotRunning = errors.New("no agent is running")

// ErrGone: the agent ended before it answered.
var ErrGone = errors.New("the running agent went away")

// Client is a Service in another process.
type Client struct{ http *http.Client }

// Dial returns a client of the agent that runs with this state folder, or ErrNotRunning.
func Dial(ctx context.Context, stateDir string) (*Client, error) {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{Timeout: dialPatience}).DialContext(ctx, "unix", SocketPath(stateDir))
	}
	if err := checkFallback(SocketPath(stateDir), stateDir); err != nil {
		return nil, err
	}
	client := &Client{&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
	// A socket takes connections for an agent that hangs too.
	pinging, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if err := client.post(pinging, "/v1/ping", nil, nil); err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrNotRunning, err)
	}
	return client, nil
}

// Pass implements Service.
func (c *Client) Pass(ctx context.Context, syncs []string) (report Report, err error) {
	err = c.post(ctx, "/v1/pass", syncs, &report)
	return report, err
}

// Plan implements Service.
func (c *Client) Plan(ctx context.Context, syncs []string) (plans []SyncPlan, err error) {
	err = c.post(ctx, "/v1/plan", syncs, &plans)
	return plans, err
}

// Approve implements Service.
func (c *Client) Approve(ctx context.Context, sync string) error {
	return c.post(ctx, "/v1/approve", []string{sync}, nil)
}

func (c *Client) post(ctx context.Context, path string, syncs []string, into any) error {
	body, err := json.Marshal(syncsRequest{syncs})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	defer response.Body.Close()
	decoder := json.NewDecoder(response.Body)
	if response.StatusCode == http.StatusServiceUnavailable {
		return ErrGone
	}
	if response.StatusCode != http.StatusOK {
		var failure errorResponse
		if err := decoder.Decode(&failure); err != nil || failure.Error == "" {
			return fmt.Errorf("running agent: %s", response.Status)
		}
		if response.StatusCode == http.StatusNotFound {
			return fmt.Errorf("%w: %s", ErrUnknownSync, failure.Error)
		}
		return fmt.Errorf("running agent: %s", failure.Error)
	}
	if into == nil {
		return nil
	}
	if err := decoder.Decode(into); err != nil {
		var broken net.Error
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken) {
			return fmt.Errorf("%w: %w", ErrGone, err)
		}
		return fmt.Errorf("answer of the running agent (is it of another version?): %w", err)
	}
	return nil
}
