package agent

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/trigger"
)

// listenAgain is how often an address is tried that cannot be had.
const listenAgain = 15 * time.Second

// serveWeb shows at the address that is configured how the agent stands. The work does not depend on that: what goes wrong is told and
// tried again until ctx is done.
func (a *Agent) serveWeb(ctx context.Context) {
	address, token := a.cfg.Agent.Listen, a.cfg.Agent.ListenToken.Reveal()
	web := control.Web{Service: a, Metrics: a.metrics.handler(a.logger), Ready: a.ready, Token: token}
	tell := func(err error) {
		a.logger.Error("cannot tell by HTTP how it stands, goes on trying", "listen", address, "error", err)
	}
	open := func() (net.Listener, error) { return control.ListenWeb(ctx, address, token) }
	for {
		listener := opened(ctx, open, tell)
		if listener == nil {
			return
		}
		at := listener.Addr().String()
		a.listening.Store(&at)
		a.logger.Info("tells by HTTP how it stands", "listen", at)
		err := web.Serve(ctx, listener, a.logger)
		a.listening.Store(nil)
		if err == nil {
			return
		}
		tell(err)
	}
}

// opened opens a listener, again and again until that works; it tells of what is new about the failures. When ctx is done it returns nil.
func opened(ctx context.Context, open func() (net.Listener, error), tell func(error)) net.Listener {
	for told := ""; ctx.Err() == nil; {
		listener, err := open()
		if err == nil {
			return listener
		}
		if ctx.Err() == nil && err.Error() != told {
			tell(err)
			told = err.Error()
		}
		select {
		case <-time.After(listenAgain):
		case <-ctx.Done():
		}
	}
	return nil
}

// errStarting: not every change leads to something yet.
var errStarting = errors.New("starting: not all folders are watched yet")

// ready returns nil when the agent works, and each watch stands or has said why it does not.
func (a *Agent) ready(ctx context.Context) error {
	if err := a.Health(ctx); err != nil {
		return err
	}
	for name := range a.syncs {
		if !a.options.Triggers || !a.cfg.Syncs[name].Watch {
			continue
		}
		if watch := a.watching.status(name); watch == nil || watch.State == string(trigger.HealthStarting) {
			return errStarting
		}
	}
	return nil
}
