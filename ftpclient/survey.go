package ftpclient

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Survey is what is known about the way between this client and its server, as far as it
// matters for active data connections.
type Survey struct {
	// Local and Server are the ends of the control connection.
	Local, Server netip.Addr
	// View is this client's address as the server sees it, the zero Addr if it does not tell.
	View netip.Addr
	// ViewFrom is the command whose reply told the View: "STAT", "PORT" or "EPRT".
	ViewFrom string
	// Findings are what the sources of external addresses say, the server's view among them;
	// SourceErrors tells why others say nothing, by their names.
	Findings     []extip.Finding
	SourceErrors map[string]error
	Verdict      extip.Verdict
	Network      extip.Network
	// Mapper is the protocol by which the gateway opens ports: a source of package extip, or
	// "gateway" if that shows only when a port is asked for. "" if it does not open any.
	Mapper string
}

// outlook is what a session knows beside Facts about the way to its server. It stays the same
// as long as the local address does.
type outlook struct {
	Survey
	key      string     // of the network, "" before it was looked for
	asked    bool       // the server was asked for its view
	spared   bool       // it was not, because it did not tell before
	whole    bool       // and all other sources, too
	maps     bool       // the gateway opens ports
	again    bool       // better ways than the remembered one get another chance now
	spoke    bool       // a mismatch with the configured address was warned of
	external netip.Addr // the best external address by the sources, the server and the operator aside
}

// Survey asks the server and the sources of the Locator who this client is outside. It may
// replace the control connection, if the server does not get over the question.
func (c *Conn) Survey(ctx context.Context) (Survey, error) {
	if err := c.untilClosed(ctx, "survey", "", c.survey); err != nil {
		return Survey{}, err
	}
	return c.outlook.Survey, nil
}

// survey finds out everything that is not known yet.
func (c *Conn) survey(ctx context.Context) error {
	if err := c.free(ctx); err != nil {
		return &Error{Op: "survey", Err: err}
	}
	if err := c.askView(ctx); err != nil || c.outlook.whole {
		return err
	}
	if l := c.options.Data.Locator; l != nil {
		asking, stop := context.WithTimeout(ctx, sourcesPatience)
		defer stop()
		c.outlook.Findings, c.outlook.SourceErrors = l.Findings(asking, c.outlook.Local)
		c.outlook.maps = l.Prepare(asking, c.outlook.Local) == nil
		if err := control.Ended(ctx); err != nil {
			return &Error{Op: "survey", Err: err}
		}
	}
	c.outlook.whole = true
	c.weigh()
	return nil
}

const (
	// sourcesPatience bounds the asking of all sources together; each has its own limit.
	sourcesPatience = 6 * time.Second
	// viewPatience is how long the reply to STAT may take.
	viewPatience = 5 * time.Second
)

// What Facts.Status says.
const (
	statusBroke = "broke off"
	statusNone  = "none"
)

// askView asks the server, once, as whom it sees this client. STAT during no transfer is about
// the session (RFC 959 section 4.1.3); what there is to read in it, each server decides.
func (c *Conn) askView(ctx context.Context) error {
	if c.outlook.asked {
		return nil
	}
	c.locate()
	c.outlook.asked = true
	c.outlook.Local, c.outlook.Server = c.endpoint.Local.Addr().Unmap(), c.endpoint.Server.Addr().Unmap()
	defer c.weigh()
	if c.facts.Status == statusNone {
		c.outlook.spared = true
		return nil
	}
	command, err := control.NewCommand("STAT", "")
	if err != nil {
		return &Error{Op: "survey", Err: err}
	}
	reply, err := c.doPatiently(ctx, "survey", "", command, min(viewPatience, c.options.ReplyTimeout))
	if ended := control.Ended(ctx); err != nil && ended != nil {
		c.outlook.asked = false
		return &Error{Op: "survey", Err: ended}
	}
	switch {
	case errors.Is(err, ErrNotSent), errors.Is(err, ErrTransferring):
		c.outlook.asked = false
		return err
	case err != nil:
		// Nothing, or nonsense, or a farewell. Once is an accident.
		if c.facts.Status == statusBroke {
			c.facts.Status = statusNone
		} else {
			c.facts.Status = statusBroke
		}
		c.options.Logger.Debug("no usable answer to STAT", "address", c.address, "error", err)
		return c.reconnect(ctx)
	case !reply.Completed():
		if reply.Code >= 500 {
			c.facts.Status = statusNone
		}
		return nil
	}
	c.facts.Status = ""
	c.hearView("STAT", reply)
	return nil
}

// hearView learns from a reply as whom the server sees this client.
func (c *Conn) hearView(verb string, reply control.Reply) {
	o := &c.outlook
	if o.View.IsValid() {
		return
	}
	if view, ok := extip.ServerView(reply.Text(), c.endpoint.Local.Addr(), c.endpoint.Server.Addr()); ok {
		o.View, o.ViewFrom = view, verb
		c.weigh()
	}
}

// weigh draws the conclusions from what is known.
func (c *Conn) weigh() {
	o := &c.outlook
	o.Mapper = ""
	if o.maps {
		o.Mapper = "gateway"
	}
	for _, f := range o.sources() {
		if o.maps && slices.Contains(gatewaySources, f.Source) {
			o.Mapper = f.Source
			break
		}
	}
	o.Findings = append(c.told(), o.sources()...)
	o.Verdict = extip.Rank(o.Local, o.Findings)
	o.external = extip.Rank(o.Local, o.sources()).Address
	configured := c.options.Data.ExternalAddress
	if configured.IsValid() && o.View.IsValid() && configured.Unmap() != o.View && !o.spoke {
		o.spoke = true
		c.options.Logger.Warn("the configured external address is not the one that the server sees", "address", c.address,
			"configured", configured, "seen", o.View)
	}
}

// gatewaySources are those that are the gateway.
var gatewaySources = []string{extip.SourcePCP, extip.SourceNATPMP, extip.SourceUPnP}

// told are the findings of the operator and of the server.
func (c *Conn) told() []extip.Finding {
	var told []extip.Finding
	if configured := c.options.Data.ExternalAddress; configured.IsValid() {
		told = append(told, extip.Finding{Source: extip.SourceConfigured, Address: configured.Unmap()})
	}
	if view := c.outlook.View; view.IsValid() {
		told = append(told, extip.Finding{Source: extip.SourceServer, Address: view, Detail: "reply to " + c.outlook.ViewFrom})
	}
	return told
}

// sources are the findings of all others.
func (o *outlook) sources() []extip.Finding {
	var others []extip.Finding
	for _, f := range o.Findings {
		if f.Source != extip.SourceConfigured && f.Source != extip.SourceServer {
			others = append(others, f)
		}
	}
	return others
}

// detected is the best external address known but for what was configured: the server's view
// before all others.
func (o *outlook) detected() netip.Addr {
	if o.View.IsValid() {
		return o.View
	}
	return o.external
}

// environment is what is known for the choice of a way, its memory of ways aside.
func (c *Conn) environment() data.Env {
	o := c.options.Data
	return data.Env{
		Policy: o.Policy, Local: c.endpoint.Local, Server: c.endpoint.Server, TLS: c.tls != nil, TrustPASV: o.TrustPASVAddress,
		Ports: o.ActivePorts.First > 0, External: o.ExternalAddress, Punching: o.HolePunch && runtime.GOOS == "linux",
		EPSVRefused: c.facts.EPSVRefused,
		PortsChange: c.outlook.Verdict.Ports == extip.PortsChanged || c.outlook.Verdict.Ports == extip.PortsPerDestination,
		Surveyed:    c.outlook.whole, View: c.outlook.View, Detected: c.outlook.detected(), Mapper: c.outlook.Mapper != "",
	}
}

// aside has the Locator get to know the gateway while act is silent for long: what comes after
// silence may need the gateway, and it takes seconds to answer, or not to.
func (c *Conn) aside(ctx context.Context, act func()) {
	l := c.options.Data.Locator
	if l == nil || c.options.Data.Policy != DataAuto || c.outlook.whole {
		act()
		return
	}
	asking, stop := context.WithCancel(ctx)
	local, over := c.endpoint.Local.Addr().Unmap(), make(chan struct{})
	silence := time.AfterFunc(suspicious, func() { // no goroutine for those that are not silent
		defer close(over)
		l.Prepare(asking, local)
	})
	act()
	stop()
	if !silence.Stop() {
		<-over
	}
}

// suspicious is how long a connection may take before it is likely that none comes.
const suspicious = 1500 * time.Millisecond
