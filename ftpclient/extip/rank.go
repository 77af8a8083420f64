package extip

import (
	"fmt"
	"net/netip"
	"slices"
)

// Verdict is what the findings of all sources amount to.
type Verdict struct {
	// Address is the external address to announce, the zero Addr when nobody knows one that can
	// be reached. It is private only where a server in a private network sees us so.
	Address netip.Addr
	// Source is whom to thank for it.
	Source string
	// NAT is what lies between, as far as the findings tell.
	NAT NAT
	// Ports is what becomes of local ports, as far as the findings tell.
	Ports Ports
	// Notes explain where sources disagree and what that means, one sentence each, for people.
	Notes []string
}

// NAT is the kind of address translation on the way.
type NAT string

// The kinds of NAT.
const (
	NATUnknown NAT = ""
	NATNone    NAT = "none"
	// NATSingle: one translation, by the gateway or beyond.
	NATSingle NAT = "NAT"
	// NATDouble: the gateway's own external address is translated again.
	NATDouble NAT = "two NATs"
	// NATSeveralExits: the FTP server sees another address than others do.
	NATSeveralExits NAT = "several exits"
)

// ranking is whom to believe before whom.
var ranking = []string{SourceConfigured, SourceServer, SourcePCP, SourceNATPMP, SourceUPnP, SourceSTUN, SourceHTTP,
	SourceInterface}

// Rank weighs the findings: configured, the FTP server's own view, the gateway if public, STUN,
// HTTP, the local address if public. It is pure. local is the control connection's local
// address.
func Rank(local netip.Addr, findings []Finding) Verdict {
	local = plain(local)
	known := relevant(local, findings)
	var v Verdict
	for _, f := range known {
		if v.Source == "" && announceable(local, f) {
			v.Address, v.Source = f.Address, f.Source
		}
	}
	v.NAT = natOf(local, known)
	v.Ports = portsOf(known)
	v.Notes = notes(v, local, known)
	return v
}

// relevant returns the findings of local's family, the local address among them, the best first.
// The operator and the server may speak of another family: there can be a translation.
func relevant(local netip.Addr, findings []Finding) []Finding {
	known := []Finding{{Source: SourceInterface, Address: local}}
	for _, f := range findings {
		f.Address = plain(f.Address)
		same := f.Address.Is4() == local.Is4() || f.Source == SourceServer || f.Source == SourceConfigured
		if f.Address.IsValid() && f.Source != SourceInterface && same {
			known = append(known, f)
		}
	}
	slices.SortStableFunc(known, func(a, b Finding) int {
		return slices.Index(ranking, a.Source) - slices.Index(ranking, b.Source)
	})
	return known
}

// announceable says whether a server could reach us there. What the server itself sees may be
// private: it is in that network then.
func announceable(local netip.Addr, f Finding) bool {
	switch f.Source {
	case SourceConfigured:
		return true
	case SourceServer:
		return f.Address == local || f.Address.IsGlobalUnicast()
	}
	return !Private(f.Address)
}

// pick returns the first finding of the sources.
func pick(known []Finding, sources ...string) (Finding, bool) {
	for _, f := range known {
		if slices.Contains(sources, f.Source) {
			return f, true
		}
	}
	return Finding{}, false
}

func natOf(local netip.Addr, known []Finding) NAT {
	view, viewed := pick(known, SourceServer)
	others, otherwise := pick(known, SourceSTUN, SourceHTTP)
	gateway, asked := pick(known, SourcePCP, SourceNATPMP, SourceUPnP)
	seen, ok := view, viewed // from beyond the gateway
	if !ok {
		seen, ok = others, otherwise
	}
	switch {
	case viewed && view.Address == local:
		return NATNone
	case asked && Private(gateway.Address) && gateway.Address != local && (!ok || !Private(seen.Address)):
		return NATDouble
	case viewed && otherwise && view.Address != others.Address:
		return NATSeveralExits
	case asked && ok && gateway.Address != seen.Address && !Private(seen.Address):
		return NATDouble
	case ok && seen.Address == local:
		return NATNone
	case ok:
		return NATSingle
	case asked && gateway.Address != local:
		return NATSingle
	case !Private(local):
		return NATNone
	}
	if configured, ok := pick(known, SourceConfigured); ok && configured.Address != local {
		return NATSingle
	}
	return NATUnknown
}

func portsOf(known []Finding) Ports {
	ports := PortsUnknown
	byPort := map[uint16][]Finding{}
	for _, f := range known {
		if f.Port != 0 && f.LocalPort != 0 {
			byPort[f.LocalPort] = append(byPort[f.LocalPort], f)
		}
	}
	for port, findings := range byPort {
		if seen := PortsOf(port, findings); severity[seen] > severity[ports] {
			ports = seen
		}
	}
	return ports
}

var severity = map[Ports]int{PortsKept: 1, PortsChanged: 2, PortsPerDestination: 3}

// notes explains what does not fit together.
func notes(v Verdict, local netip.Addr, known []Finding) []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	view, viewed := pick(known, SourceServer)
	others, otherwise := pick(known, SourceSTUN, SourceHTTP)
	seen, ok := view, viewed
	if !ok {
		seen, ok = others, otherwise
	}
	if configured, set := pick(known, SourceConfigured); set && ok && configured.Address != seen.Address {
		note("configured is %s, but %s: the server may refuse the configured address, or connect to another machine",
			configured.Address, sees(seen))
	}
	if viewed && !announceable(local, view) {
		note("the server sees us as %s, an address that only reaches the server's own machine or link: "+
			"a proxy or a tunnel is in between, and active mode cannot work", view.Address)
	}
	if gateway, asked := pick(known, SourcePCP, SourceNATPMP, SourceUPnP); asked {
		noteGateway(v.NAT, gateway, seen, ok, note)
	}
	if viewed && otherwise && view.Address != others.Address {
		note("the server sees us as %s, but %s: there are several exits, and to this server only %[1]s counts",
			view.Address, sees(others))
	}
	noteQuarrels(known, note)
	if v.Ports == PortsPerDestination {
		note("the NAT uses another port for each that is talked to: hole punching is pointless")
	}
	if v.Ports == PortsChanged {
		note("the NAT does not keep ports: hole punching is pointless")
	}
	if !v.Address.IsValid() {
		note("nobody knows a public address of this machine: the server has nothing to connect to")
	}
	return notes
}

func noteGateway(nat NAT, gateway, seen Finding, ok bool, note func(string, ...any)) {
	const useless = "ports opened at the gateway cannot be reached from outside"
	switch {
	case !ok && Private(gateway.Address):
		note("the gateway (%s) says %s, which is not public: two NATs, %s; ask the provider for a public address",
			gateway.Source, gateway.Address, useless)
	case !ok || gateway.Address == seen.Address:
	case nat == NATDouble && Private(gateway.Address):
		note("the gateway (%s) says %s, but %s: two NATs, %s; ask the provider for a public address",
			gateway.Source, gateway.Address, sees(seen), useless)
	case nat == NATNone:
		note("the gateway (%s) says %s, but %s, untranslated: the way does not lead through its NAT",
			gateway.Source, gateway.Address, sees(seen))
	default:
		note("the gateway (%s) says %s, but %s: another NAT or another exit, %s",
			gateway.Source, gateway.Address, sees(seen), useless)
	}
}

// noteQuarrels is about sources of one kind that disagree among themselves.
func noteQuarrels(known []Finding, note func(string, ...any)) {
	kinds := [][]string{{SourcePCP, SourceNATPMP, SourceUPnP}, {SourceSTUN, SourceHTTP}}
	for _, kind := range kinds {
		first, ok := pick(known, kind...)
		var said []netip.Addr
		for _, f := range known {
			if ok && slices.Contains(kind, f.Source) && f.Address != first.Address && !slices.Contains(said, f.Address) {
				said = append(said, f.Address)
				note("%s, but %s: %s is taken", says(first), says(f), first.Address)
			}
		}
	}
}

func says(f Finding) string {
	if f.Detail != "" {
		return fmt.Sprintf("%s (%s) says %s", f.Source, f.Detail, f.Address)
	}
	return fmt.Sprintf("%s says %s", f.Source, f.Address)
}

func sees(f Finding) string {
	if f.Source == SourceServer {
		return fmt.Sprintf("the server sees us as %s", f.Address)
	}
	return fmt.Sprintf("%s sees us as %s", f.Source, f.Address)
}
