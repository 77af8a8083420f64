package alert

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
)

// ErrNotYet is what healthy returns before anything can be said: Beat asks again soon.
var ErrNotYet = errors.New("nothing can be said yet")

// Beat asks for the URL of a heartbeat, by GET, at once and then every so often, until ctx ends; but not while healthy returns an
// error. So whoever waits for it learns of all that keeps it from coming.
func Beat(ctx context.Context, h config.Heartbeat, healthy func(context.Context) error, logger *slog.Logger) {
	ticker := time.NewTicker(h.Every)
	defer ticker.Stop()
	failing, silent := false, false
	for {
		err := healthy(ctx)
		if errors.Is(err, ErrNotYet) {
			select {
			case <-time.After(time.Second):
				continue
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			if !silent {
				logger.Warn("no heartbeat while something is wrong", "reason", err)
			}
			silent = true
		} else if err := beat(ctx, h); ctx.Err() == nil {
			if silent {
				logger.Info("heartbeats go on")
			}
			silent = false
			if err != nil && !failing {
				logger.Warn("the heartbeat does not reach its URL", "error", err)
			}
			failing = err != nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// longestBeat bounds one heartbeat.
const longestBeat = 30 * time.Second

func beat(ctx context.Context, h config.Heartbeat) error {
	limited, cancel := context.WithTimeoutCause(ctx, min(longestBeat, h.Every), errLate)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodGet, h.URL.Reveal(), nil)
	if err != nil {
		return errors.New("the URL does not work")
	}
	_, err = ask(request)
	return err
}
