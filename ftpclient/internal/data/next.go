package data

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// Next returns the way to try after the attempts in tried, and false when nothing is left.
// It is pure.
func Next(env Env, tried []Attempt) (Way, bool) {
	ways := candidates(env, tried)
	if i := slices.Index(ways, env.Remembered); i > 0 {
		ways = slices.Insert(slices.Delete(ways, i, i+1), 0, env.Remembered)
	}
	for _, way := range ways {
		if !pointless(tried, way) {
			return way, true
		}
	}
	return Way{}, false
}

// candidates are the ways that env leaves, the best first.
func candidates(env Env, tried []Attempt) []Way {
	passive, active := env.Policy != ActiveOnly, env.Policy != PassiveOnly
	ways := make([]Way, 0, 2*len(methodNames))
	if passive {
		ways = appendPassive(ways, env, tried)
	}
	if active {
		// Forwarded before Helper: whoever configures ports has most likely forwarded them, and
		// for a helper any port would do. The order of most guides is the opposite one, for clients
		// that assume a forward where nobody spoke of any.
		for _, method := range []Method{Configured, Direct, Mapped, Forwarded, Helper} {
			if env.suits(method) {
				ways = appendActive(ways, env, method)
			}
		}
	}
	if silent := unanswered(tried, Way{Passive, EPSV}); passive && silent && env.ipv4() && !env.TLS && !env.TrustPASV {
		// A firewall on the server's side that reads along may open ports for PASV and not know EPSV.
		ways = append(ways, Way{Passive, PASV})
	}
	if active && env.suits(Punched) {
		ways = appendActive(ways, env, Punched)
	}
	if env.Policy == ActiveOnly && !env.suits(Direct) && (len(ways) == 0 || !env.translated() && !env.suits(Helper)) {
		// An operator who says "active" expects PORT with the local address at the least.
		ways = appendActive(ways, env, Direct)
	}
	return ways
}

// appendPassive leaves out PASV where EPSV found nobody, and the other way round: both go to the
// same host, unless the address in the reply to PASV is trusted.
func appendPassive(ways []Way, env Env, tried []Attempt) []Way {
	epsv, pasv := Way{Passive, EPSV}, Way{Passive, PASV}
	switch {
	case !env.ipv4():
		return append(ways, epsv)
	case !env.TrustPASV && unanswered(tried, epsv):
		return append(ways, epsv)
	case !env.TrustPASV && unanswered(tried, pasv):
		return append(ways, pasv)
	case env.EPSVRefused:
		return append(ways, pasv, epsv) // the server may be another one by now
	}
	return append(ways, epsv, pasv)
}

// appendActive prefers PORT for IPv4: all servers and most NATs that read along know it.
func appendActive(ways []Way, env Env, method Method) []Way {
	if !env.ipv4() {
		return append(ways, Way{method, EPRT})
	}
	return append(ways, Way{method, PORT}, Way{method, EPRT})
}

// pointless reports whether the attempts tell that a way cannot work.
func pointless(tried []Attempt, way Way) bool {
	return slices.ContainsFunc(tried, func(a Attempt) bool {
		switch {
		case a.Way == way:
			return true
		case way.Method == Passive:
			return false
		case a.Way.Method == way.Method:
			// Only a refusal may be about the command, all else is about the address.
			return a.Stage != Refused
		}
		return sameAddress(a.Way.Method, way.Method)
	})
}

// sameAddress reports whether two methods announce the same.
func sameAddress(one, other Method) bool {
	return one == Direct && other == Helper || one == Helper && other == Direct
}

// unanswered reports whether a way led to a port where nobody was, or nobody of use.
func unanswered(tried []Attempt, way Way) bool {
	return slices.ContainsFunc(tried, func(a Attempt) bool {
		return a.Way == way && (a.Stage == Silent || a.Stage == Broken)
	})
}

// suits reports whether an active method may work, as far as is known.
func (e Env) suits(method Method) bool {
	local := e.Local.Addr().Unmap()
	switch method {
	case Configured:
		return e.External.IsValid()
	case Direct:
		return !e.Surveyed || !e.translated() && (e.View.IsValid() || !extip.Private(local) || e.together())
	case Mapped:
		if local.IsLoopback() {
			return false
		}
		// Within one private network the gateway leads elsewhere.
		reachable := e.translated() || !extip.Private(local) || !e.View.IsValid() && !e.together()
		return !e.Surveyed || e.Mapper && reachable
	case Forwarded:
		return e.Ports && !e.External.IsValid() && (!e.Surveyed || e.announceable())
	case Helper:
		return e.ipv4() && !e.TLS && e.Server.Port() == 21 && extip.Private(local) && !local.IsLoopback() &&
			(!e.Surveyed || !e.suits(Direct))
	case Punched:
		return e.Punching && e.ipv4() && (!e.Surveyed || e.translated() && !e.PortsChange)
	}
	return false
}

func (e Env) ipv4() bool { return !e.Server.Addr().Unmap().Is6() }

// translated reports whether the server is known to see another address than the local one.
func (e Env) translated() bool {
	return e.View.IsValid() && plain(e.View) != plain(e.Local.Addr())
}

// plain is an address as servers name it: without a zone, which means something on one machine only.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// announceable reports whether the detected address is that of a NAT, and one that the server
// can reach: it may be private only if the server itself says so.
func (e Env) announceable() bool {
	detected := e.Detected.Unmap()
	return detected.IsValid() && detected.Is4() == e.ipv4() && detected != plain(e.Local.Addr()) &&
		(!extip.Private(detected) || detected == e.View.Unmap())
}

// together reports whether both ends are in private networks of the same kind, between which no NAT
// is to be expected.
func (e Env) together() bool {
	kind := kindOf(e.Local.Addr())
	return kind != kindPublic && kind == kindOf(e.Server.Addr())
}

type kind uint8

const (
	kindPublic kind = iota
	kindPrivate
	kindLoopback
	kindLinkLocal
	kindOtherwise // shared by a provider's customers, or of no use
)

func kindOf(address netip.Addr) kind {
	address = address.Unmap()
	switch {
	case address.IsLoopback():
		return kindLoopback
	case address.IsLinkLocalUnicast():
		return kindLinkLocal
	case address.IsPrivate():
		return kindPrivate
	case extip.Private(address):
		return kindOtherwise
	}
	return kindPublic
}

// How long a data connection may take, where the operator's limit is the usual one.
const (
	// patient is enough for the third repetition of a lost SYN (after 1, 3 and 7 s).
	patient = 8 * time.Second
	// guided is for passive ways where an operator has prepared another one, and for the last active way: with a
	// silent passive one before it, the diagnosis takes no more than 15 s.
	guided = 6 * time.Second
	// spoiled is for passive ways where another one worked the last time.
	spoiled = 5 * time.Second
	// hurried is for active ways that others follow, and for second tries: with a passive one before and a working one
	// behind it, the first contact takes less than 12 s.
	hurried = 3500 * time.Millisecond
)

// UsualLimit is the connect time-out for which the patience with each way is made.
const UsualLimit = 15 * time.Second

// Stretched is a patience on a line whose operator has a connect time-out of limit: longer in
// proportion where that is above the usual one, and never more than it. 0 means no limit.
func Stretched(patience, limit time.Duration) time.Duration {
	switch {
	case limit <= 0:
		return patience
	case limit > UsualLimit:
		return min(time.Duration(float64(patience)*float64(limit)/float64(UsualLimit)), limit)
	}
	return min(patience, limit)
}

// Patience is how long to wait for the data connection of a way: shorter where another way is
// likely to work, or was waited for before. limit is the operator's: it is never exceeded, and used
// up where no other way ever was; above the usual one it makes all waits longer. 0 means none.
// Patience is pure.
func Patience(env Env, tried []Attempt, way Way, limit time.Duration) time.Duration {
	_, follows := Next(env, slices.Concat(tried, []Attempt{{Way: way, Stage: Silent}}))
	waited := slices.ContainsFunc(tried, func(a Attempt) bool { return a.Stage == Silent })
	if !follows && !waited && limit > 0 {
		return limit
	}
	patience := patient
	switch {
	case way.Method != Passive && follows, way.Command == PASV && unanswered(tried, Way{Passive, EPSV}):
		patience = hurried
	case way.Method == Passive && env.Remembered.Method != 0 && env.Remembered != way:
		patience = spoiled
	case way.Method == Passive && (env.Ports || env.External.IsValid() || env.Punching), way.Method != Passive && waited:
		patience = guided
	}
	return Stretched(patience, limit)
}
