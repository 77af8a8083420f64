package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/trigger"
)

// listenAgain is how often an address is tried that cannot be had.
const listenAgain = 15 * time.Second

// webTrouble is something that goes wrong beside the work.
type webTrouble struct {
	since time.Time
	text  string
}

// webChange has the agent listen somewhere else, or want another token, in two steps: first it finds out whether that can be had.
type webChange struct {
	to     config.Agent
	opened chan error    // whether it can be had; nothing is different yet
	taken  chan *Agent   // whose configuration is in force after that; nil: the one before stays
	done   chan struct{} // closed when that is how it is
}

// webServing is what is served at one address.
type webServing struct {
	address string // as it is configured
	metrics http.Handler
	server  *control.WebServer
	stop    func() // returns when all requests have ended
}

// serveWeb shows at the address that is configured how the agent stands, until ctx is done. The work does not depend on that: what goes
// wrong is told and tried again.
func (a *Agent) serveWeb(ctx context.Context) {
	is := a.startWeb(ctx, a.cfg.Agent, a, nil)
	defer func() { is.stop() }()
	for {
		select {
		case c := <-a.webChanges:
			is = a.changeWeb(ctx, is, c)
		case <-ctx.Done():
			return
		}
	}
}

// startWeb serves an agent at a listener, or if that is nil at one that it tries to open, as the configuration of where says.
func (a *Agent) startWeb(ctx context.Context, where config.Agent, as *Agent, listener net.Listener) webServing {
	is := webServing{address: where.Listen, stop: func() {}}
	if is.address == "" {
		a.deaf.Store(nil)
		return is
	}
	is.metrics, is.server = a.metrics.handler(a.logger), new(control.WebServer)
	is.show(as, where.ListenToken.Reveal())
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	is.stop = func() {
		cancel()
		<-ended
	}
	go func() {
		defer close(ended)
		a.keepServing(ctx, is, listener)
	}()
	return is
}

// show has the server answer for an agent those who know the token.
func (is webServing) show(as *Agent, token string) {
	is.server.Show(control.Web{Service: as, Metrics: is.metrics, Ready: as.ready, Token: token})
}

// keepServing serves until ctx is done; a listener that is nil or breaks it opens anew.
func (a *Agent) keepServing(ctx context.Context, is webServing, listener net.Listener) {
	tell := func(err error) {
		a.deaf.Store(&webTrouble{time.Now(), fmt.Sprintf("cannot listen at %s: %v", is.address, err)})
		a.logger.Error("cannot tell by HTTP how it stands, goes on trying", "listen", is.address, "error", err)
	}
	open := func() (net.Listener, error) { return control.ListenWeb(ctx, is.address, is.server.Token()) }
	for {
		if listener == nil {
			if listener = opened(ctx, open, tell); listener == nil {
				return
			}
		}
		at := listener.Addr().String()
		a.listening.Store(&at)
		a.deaf.Store(nil)
		a.logger.Info("tells by HTTP how it stands", "listen", at)
		err := is.server.Serve(ctx, listener, a.logger)
		a.listening.CompareAndSwap(&at, nil) // somebody else may have begun
		if err == nil {
			return
		}
		tell(err)
		listener = nil
	}
}

// changeWeb carries out a change, and returns what is served then. The old listener is closed when the new one listens, or right before, if
// they would be in each other's way.
func (a *Agent) changeWeb(ctx context.Context, is webServing, c webChange) webServing {
	defer close(c.done)
	address, token := c.to.Listen, c.to.ListenToken.Reveal()
	now, at := a.current.Load(), a.listening.Load()
	stays, moved := address == is.address && (address == "" || at != nil), false
	var listener net.Listener
	var err error
	switch {
	case stays && address != "" && token == "" && !isLoopback(*at):
		err = fmt.Errorf("other machines can reach %s, and there is no listen_token", *at)
	case stays, address == "", address == is.address: // which could not be had before either
	default:
		listener, err = control.ListenWeb(ctx, address, token)
		if err != nil && at != nil && samePort(address, *at) { // that may be because of the old one
			is.stop()
			if listener, err = control.ListenWeb(ctx, address, token); err != nil {
				is = a.startWeb(ctx, now.cfg.Agent, now, nil)
			} else { // until the configuration is in force, which may take a while, it shows what the old one has shown
				where := c.to
				if token == "" {
					where.ListenToken = now.cfg.Agent.ListenToken // nobody is let in too early
				}
				is, listener, moved = a.startWeb(ctx, where, now, listener), nil, true
			}
		}
	}
	c.opened <- err
	if err != nil {
		return is
	}
	var next *Agent
	select {
	case next = <-c.taken:
	case <-ctx.Done():
	}
	switch {
	case next == nil && moved && ctx.Err() == nil:
		is.stop()
		is = a.startWeb(ctx, now.cfg.Agent, now, nil)
	case next == nil && listener != nil:
		listener.Close()
	case next == nil:
	case moved, stays && address != "":
		is.show(next, token)
	case !stays:
		is.stop() // first: it may be about to get the same address, or to tell that it cannot; who connects to listener waits for a moment
		is = a.startWeb(ctx, next.cfg.Agent, next, listener)
	}
	return is
}

// isLoopback reports whether only this machine reaches HOST:PORT.
func isLoopback(at string) bool {
	address, err := netip.ParseAddrPort(at)
	return err == nil && address.Addr().IsLoopback()
}

// samePort reports whether two of HOST:PORT may be in each other's way.
func samePort(a, b string) bool {
	_, one, err := net.SplitHostPort(a)
	_, other, otherErr := net.SplitHostPort(b)
	return err == nil && otherErr == nil && one == other
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
