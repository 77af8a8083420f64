package extip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// failureLifetime is how long a third party that did not answer is left alone.
const failureLifetime = time.Minute

// questions is the table of those who are asked beside the gateway; a new source has a line here. Each
// question is asked at the same time as all others, and within the time-out of its source.
var questions = []func(o Options, local netip.Addr) []question{stunQuestions, echoQuestions, interfaceQuestions}

// question is something that a source is asked.
type question struct {
	source string
	about  string // tells it from other questions to the same source
	ask    func(ctx context.Context) ([]Finding, error)
}

// answer is what came of a question, as long as it counts. Guarded by its turn.
type answer struct {
	turn     chan struct{} // holds a token while somebody asks or reads
	findings []Finding
	err      error
	until    time.Time
}

// Findings returns what every enabled source says for connections from the local address,
// asked at the same time, from memory where that has not expired. Errors of sources are in
// the second result by the name of the source; the gateway's protocols have one each.
func (l *Locator) Findings(ctx context.Context, local netip.Addr) ([]Finding, map[string]error) {
	local = local.Unmap()
	place := local.String()
	if network, err := l.networkOf(local); err == nil {
		place += " " + network.Key()
	}
	var all []question
	asked := l.asked()
	for _, of := range questions {
		all = append(all, of(asked, local)...)
	}
	type result struct {
		findings []Finding
		err      error
	}
	results := make([]result, len(all))
	var asking sync.WaitGroup
	for i, q := range all {
		asking.Go(func() {
			results[i].findings, results[i].err = l.answerTo(ctx, place, q)
		})
	}
	findings, failures := l.gatewayFindings(ctx, place, local)
	asking.Wait()
	for i, r := range results {
		findings = append(findings, r.findings...)
		if r.err != nil {
			failures[all[i].source] = errors.Join(failures[all[i].source], r.err)
		}
	}
	return findings, failures
}

// answerTo returns the answer from memory, or asks. Who asks for the same at the same time waits for the answer.
func (l *Locator) answerTo(ctx context.Context, place string, q question) ([]Finding, error) {
	key := q.source + " " + q.about + " " + place
	l.mutex.Lock()
	for other, a := range l.answers {
		if len(a.turn) == 0 && other != key && len(l.answers) > answersAtOnce {
			delete(l.answers, other) // any one: it costs a question
		}
	}
	a := l.answers[key]
	if a == nil {
		a = &answer{turn: make(chan struct{}, 1)}
		l.answers[key] = a
	}
	l.mutex.Unlock()
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if left := a.until.Sub(now()); left > 0 && left <= longestLifetime {
		return a.findings, a.err
	}
	findings, err := q.ask(ctx)
	if ctx.Err() != nil {
		return findings, err // which may be cut short
	}
	lifetime := failureLifetime
	if err == nil && len(findings) > 0 {
		lifetime = longestLifetime
		for _, f := range findings {
			lifetime = min(lifetime, f.Lifetime)
		}
	}
	a.findings, a.err, a.until = findings, err, now().Add(lifetime)
	return findings, err
}

const (
	// longestLifetime bounds the lifetimes of findings.
	longestLifetime = 24 * time.Hour
	// answersAtOnce bounds the answers that are remembered.
	answersAtOnce = 64
)

// gatewayFindings returns the external address as the gateway says it, and why its protocols are of no use.
func (l *Locator) gatewayFindings(ctx context.Context, place string, local netip.Addr) ([]Finding, map[string]error) {
	failures := map[string]error{}
	if !l.asked().Gateway {
		return nil, failures
	}
	r, err := l.router(local)
	var chosen *dialect
	if err == nil {
		chosen, err = l.choose(ctx, r)
	}
	if chosen == nil {
		var refusal *GatewayError
		for _, p := range l.protocols {
			if !errors.As(err, &refusal) {
				failures[p.name] = err // nobody was asked
			}
		}
	}
	if r == nil {
		return nil, failures
	}
	finding, found := l.outsideOf(r)
	for _, d := range r.dialects {
		l.mutex.Lock()
		asked, failure := !d.asked.IsZero(), d.err
		l.mutex.Unlock()
		if failure != nil {
			failures[d.name] = failure
		}
		// The chosen one is the first of all that work; the others are for when it has no word for the
		// address. Those that make noise are left in peace then.
		if found || failure != nil || chosen == nil || !asked && d.late {
			continue
		}
		findings, err := l.answerTo(ctx, place, question{source: d.name, ask: func(ctx context.Context) ([]Finding, error) {
			f, err := d.mapper.Lookup(ctx)
			return []Finding{f}, err
		}})
		if err != nil {
			failures[d.name] = err
			continue
		}
		finding, found = findings[0], true
	}
	if !found {
		return nil, failures
	}
	return []Finding{finding}, failures
}

// outsideOf reads the gateway's address from a mapping that it has granted lately.
func (l *Locator) outsideOf(r *router) (Finding, bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, le := range r.leases {
		if !le.void && recent(le.confirmed, leaseTrust) && le.mapping.External.Addr().IsValid() {
			return Finding{
				Source: le.dialect.name, Address: le.mapping.External.Addr().Unmap(),
				Detail: "gateway " + r.gateway.String(), Lifetime: leaseTrust,
			}, true
		}
	}
	return Finding{}, false
}

// stunQuestions asks all servers from one port, one after the other: so it can be seen what the NAT makes of it.
func stunQuestions(o Options, local netip.Addr) []question {
	if len(o.STUN) == 0 {
		return nil
	}
	return []question{{source: SourceSTUN, ask: func(ctx context.Context) ([]Finding, error) {
		port, err := freePort(local)
		if err != nil {
			return nil, fmt.Errorf("STUN: %w", err)
		}
		var findings []Finding
		var failures []error
		for _, name := range o.STUN {
			server, err := NewSTUN(name, local)
			var finding Finding
			if err == nil {
				finding, err = server.LookupFrom(ctx, port)
			}
			if err != nil {
				failures = append(failures, err)
				continue
			}
			finding.LocalPort = port
			findings = append(findings, finding)
		}
		return findings, errors.Join(failures...)
	}}}
}

// freePort returns a UDP port that nobody uses.
func freePort(local netip.Addr) (uint16, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
}

func echoQuestions(o Options, local netip.Addr) []question {
	var all []question
	for _, address := range o.HTTP {
		all = append(all, question{source: SourceHTTP, about: address, ask: func(ctx context.Context) ([]Finding, error) {
			page, err := NewEcho(address, local, o.TLS)
			if err != nil {
				return nil, err
			}
			finding, err := page.Lookup(ctx)
			if err != nil {
				return nil, err
			}
			return []Finding{finding}, nil
		}})
	}
	return all
}

// interfaceQuestions has no error: most machines have no public address of their own.
func interfaceQuestions(_ Options, local netip.Addr) []question {
	return []question{{source: SourceInterface, ask: func(ctx context.Context) ([]Finding, error) {
		finding, err := NewInterface(local).Lookup(ctx)
		if err != nil {
			return nil, nil
		}
		return []Finding{finding}, nil
	}}}
}
