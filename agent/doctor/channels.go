package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// tryWays tries every way of data connections.
func (e *examination) tryWays(ctx context.Context) {
	conn, err := e.alive(ctx)
	if err != nil {
		return
	}
	e.Progress("data connections")
	report := &Channels{Folder: clean(e.folder()), Ways: []Way{}}
	e.report.Channels = report
	results, err := conn.ProbeWays(ctx, e.folder(), func(result ftpclient.WayResult) {
		way := wayOf(result)
		e.Progress("data connections: " + way.Way + " " + map[bool]string{true: "works", false: "fails"}[way.Works])
	})
	for _, result := range results {
		report.Ways = append(report.Ways, wayOf(result))
		e.data = e.data || result.Works
		if !result.Works {
			e.failed = append(e.failed, result.DataAttempt)
		}
	}
	if err != nil && !e.data && ctx.Err() == nil {
		e.dataEnded = err
	}
}

// explainChannels tells why no data connection gets through, and what to do about each of the ways.
func (e *examination) explainChannels(ctx context.Context) {
	if e.report.Channels == nil || ctx.Err() != nil {
		return
	}
	refusal := ftpclient.DataError{Attempts: e.failed, Situation: ftpclient.Situation{
		Host: e.report.Reach.Host, TLS: e.Client.TLS != ftpclient.TLSNone, Policy: e.Client.Data.Policy, Ports: e.Client.Data.ActivePorts,
	}}
	if o := e.report.Outside; o != nil {
		refusal.Local, _ = netip.ParseAddr(o.Local) // "" leaves the zero Addr
		refusal.View, _ = netip.ParseAddr(o.View)
		refusal.Notes = o.Notes
	}
	if remote, err := netip.ParseAddrPort(e.report.Reach.Remote); err == nil && e.report.Reach.Proxy == "" {
		refusal.Port = remote.Port()
	}
	next := 0
	for i := range e.report.Channels.Ways {
		if way := &e.report.Channels.Ways[i]; !way.Works {
			way.Cure = clean(refusal.Cure(e.failed[next]))
			next++
		}
	}
	switch {
	case e.data:
	case e.dataEnded != nil:
		kind, cure := cureOf(e.dataEnded, e.Server.Address, true)
		e.problem(kind, "no data connection: "+e.dataEnded.Error(), cure)
	default:
		e.problem(NeedsPerson, refusal.Error(), "")
	}
}

func wayOf(r ftpclient.WayResult) Way {
	way := Way{Way: r.Way.String(), Works: r.Works, Took: Span(r.Took), Resumed: r.Resumed, Target: r.Target, Listened: r.Listened}
	if r.Err != nil {
		way.Reason = clean(reasonOf(r.Err))
	}
	if r.Reply.Code != 0 {
		way.Reply = clean(r.Reply.String())
	}
	return way
}

// reasonOf is why a way does not work, without what was asked for over it.
func reasonOf(err error) string {
	var failed *ftpclient.Error
	var dialling *net.OpError
	switch {
	case errors.As(err, &dialling) && dialling.Op == "dial":
		return shortNetwork(err)
	case errors.As(err, &dialling) && dialling.Op == "accept" && dialling.Timeout():
		return "nobody connected"
	case !errors.As(err, &failed):
		return err.Error()
	case failed.Code != 0 && failed.Err != nil:
		return fmt.Sprintf("%d %s: %v", failed.Code, failed.Text, failed.Err)
	}
	return shortReply(failed)
}

// survey asks who this machine is outside.
func (e *examination) survey(ctx context.Context) {
	if e.report.Reach.Proxy != "" || ctx.Err() != nil {
		return
	}
	conn, err := e.alive(ctx)
	if err != nil {
		return
	}
	e.Progress("the external address")
	found, err := conn.Survey(ctx)
	if err != nil {
		e.note("the external address: %s", err)
		return
	}
	o := outsideOf(found)
	e.report.Outside = o
	o.Helper = e.works("helper")
	if e.gatewayRefused() {
		o.Mapper = "" // whatever it speaks
	}
	switch {
	case o.NAT != "":
	case e.works("direct") || found.Local.IsLoopback():
		// Nobody told, but the server came to this machine's own address, or is on this machine.
		o.NAT, o.Notes = string(extip.NATNone), []string{}
	case extip.Private(found.Local) && !extip.Private(found.Server):
		o.NAT = string(extip.NATSingle) // one at least: from such an address nobody gets there
	}
}

// gatewayRefused reports whether the gateway was asked for a port, and opened none.
func (e *examination) gatewayRefused() bool {
	return slices.ContainsFunc(e.failed, func(a ftpclient.DataAttempt) bool {
		var refusal *extip.GatewayError
		return errors.As(a.Err, &refusal)
	})
}

// works reports whether a way of that method works.
func (e *examination) works(method string) bool {
	return e.report.Channels != nil && slices.ContainsFunc(e.report.Channels.Ways, func(w Way) bool {
		return w.Works && strings.HasPrefix(w.Way, method+" ")
	})
}

func outsideOf(s ftpclient.Survey) *Outside {
	o := &Outside{
		Local: addressText(s.Local), Server: addressText(s.Server), View: addressText(s.View), From: s.ViewFrom,
		Sources: []Source{}, Address: addressText(s.Verdict.Address), Best: s.Verdict.Source,
		NAT: string(s.Verdict.NAT), Ports: string(s.Verdict.Ports), Mapper: s.Mapper, Notes: []string{},
	}
	for _, f := range s.Findings {
		o.Sources = append(o.Sources, Source{Source: f.Source, Address: addressText(f.Address), Port: f.Port, Detail: clean(f.Detail)})
	}
	var silent []string
	for name := range s.SourceErrors {
		silent = append(silent, name)
	}
	slices.Sort(silent)
	for _, name := range silent {
		text := s.SourceErrors[name].Error()
		if errors.Is(s.SourceErrors[name], extip.ErrNoGateway) {
			text = extip.ErrNoGateway.Error()
		}
		o.Sources = append(o.Sources, Source{Source: name, Error: clean(text)})
	}
	for _, note := range s.Verdict.Notes {
		o.Notes = append(o.Notes, clean(note))
	}
	if s.Network.Interface != "" {
		o.Network = s.Network.Interface
		if s.Network.Prefix.IsValid() {
			o.Network += " " + s.Network.Prefix.String()
		}
		if s.Network.Gateway.IsValid() {
			o.Network += " via " + s.Network.Gateway.String()
		}
	}
	return o
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
