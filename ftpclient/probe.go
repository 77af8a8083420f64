package ftpclient

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// WayResult is what came of one way of data connections.
type WayResult struct {
	// DataAttempt has Err nil and Stage 0 where the way works.
	DataAttempt
	Works bool
	// Resumed: the TLS session of the control connection was taken over.
	Resumed bool
	faith   bool // nothing was seen: the server lists nothing
}

// ProbeWays tries every way of data connections that the options allow, those behind the first
// one that works too, by listing the names in folder (NLST). report, if not nil, is called after
// each. The control connection is replaced in between where a way leaves it in doubt. The error is
// that of the control connection, or one that concerns all ways (TLS), with the results so far.
// Nothing is remembered.
func (c *Conn) ProbeWays(ctx context.Context, folder string, report func(WayResult)) ([]WayResult, error) {
	var results []WayResult
	err := c.untilClosed(ctx, "probe", folder, func(ctx context.Context) error {
		return c.probe(ctx, folder, func(r WayResult) {
			results = append(results, r)
			if report != nil {
				report(r)
			}
		})
	})
	return results, err
}

func (c *Conn) probe(ctx context.Context, folder string, report func(WayResult)) error {
	if err := c.survey(ctx); err != nil {
		return err
	}
	c.probing = true
	defer func() { c.probing = false }()
	var tried []data.Attempt
	for {
		env := c.environment()
		way, ok := data.Next(env, tried)
		if !ok {
			return nil
		}
		if !c.Usable() {
			if err := c.reconnect(ctx); err != nil {
				return err
			}
		}
		began := time.Now()
		limit := c.options.ConnectTimeout
		patience := min(data.Patience(env, tried, way, limit), data.Stretched(probePatience, limit))
		result, err := c.prove(ctx, way, patience, c.Absolute(folder))
		if result.Took == 0 {
			result.Took = time.Since(began)
		}
		if err != nil {
			result.Err, result.Stage = err, data.Broken
		}
		report(result)
		if err != nil && (!isOfTLS(err) || control.Ended(ctx) != nil) {
			return err
		}
		attempt := result.DataAttempt
		if result.Works {
			attempt.Stage = data.Refused // so that the other command for the same gets its turn
		} else if !way.Command.Passive() {
			c.hearView(way.Command.String(), result.Reply)
		}
		tried = append(tried, attempt)
		if result.Stage == data.Silent {
			if err := c.reconnect(ctx); err != nil {
				return err
			}
		}
	}
}

// probePatience bounds each way of a probe, on usual lines.
const probePatience = 8 * time.Second
