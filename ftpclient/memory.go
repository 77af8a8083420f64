package ftpclient

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// retryBetter is after how long the ways that are better than the one that works are tried again.
const retryBetter = 24 * time.Hour

// of returns what is known about a network, with nothing but its name if that is nothing.
func (cs Channels) of(network string) Channel {
	for _, known := range cs {
		if known.Network == network {
			return known
		}
	}
	return Channel{Network: network}
}

// with returns cs with what is known about one network put in front, in place of what was known
// about it; what was not needed for longest makes room. One without content goes.
func (cs Channels) with(latest Channel) Channels {
	others := slices.DeleteFunc(cs[:], func(known Channel) bool { // cs is a copy
		return known.Network == "" || known.Network == latest.Network
	})
	var all []Channel
	if latest != (Channel{Network: latest.Network}) {
		all = []Channel{latest}
	}
	all = append(all, others...)
	var result Channels
	copy(result[:], all)
	return result
}

// worked notes a way that worked at the time now, where the server saw this client as view (the
// zero Addr if it does not tell). again says that better ways were given another chance before.
func (ch Channel) worked(way DataWay, secured, again bool, view netip.Addr, now time.Time) Channel {
	if ch.Way != way.String() || again {
		ch.Way, ch.Since = way.String(), now.Unix()
	}
	if view.IsValid() {
		ch.View = view.String()
	}
	if way.Method == data.Helper && !secured {
		ch.PlainHelper = true
	}
	return ch
}

// failed forgets a way that does not work any more.
func (ch Channel) failed() Channel {
	ch.Way, ch.Since, ch.View = "", 0, ""
	return ch
}

// trusted returns the way that is to be tried first, the zero Way if there is none: nothing is
// remembered, or from another network that looks like this one, because the server sees another
// address of this client. first is what would be tried without memory. expired: the way works
// for so long that those better than it deserve another chance before.
func (ch Channel) trusted(first DataWay, view netip.Addr, now time.Time) (way DataWay, expired bool) {
	way, ok := data.ParseWay(ch.Way)
	if !ok || view.IsValid() && ch.View != "" && ch.View != view.String() {
		return DataWay{}, false
	}
	if ch.expired(first, now) {
		return DataWay{}, true
	}
	return way, false
}

// expired reports whether the way that is known works for so long, or since a time so far ahead,
// that first, which would be tried without memory, deserves another chance.
func (ch Channel) expired(first DataWay, now time.Time) bool {
	age := now.Sub(time.Unix(ch.Since, 0))
	return ch.Way != "" && ch.Way != first.String() && (age >= retryBetter || age < -retryBetter)
}

// unknownNetwork stands for networks of which nothing is known.
const unknownNetwork = "unknown"

// locate finds out which network the control connection leaves by.
func (c *Conn) locate() {
	if c.outlook.key != "" {
		return
	}
	c.outlook.key = unknownNetwork
	if c.options.Proxy != nil {
		c.outlook.key = "through " + c.options.Proxy.Host
		return
	}
	if network, err := extip.NetworkOf(c.endpoint.Local.Addr()); err == nil && network.Key() != "" {
		c.outlook.Network, c.outlook.key = network, network.Key()
	}
}

// learnWay notes that data came through by way.
func (c *Conn) learnWay(way DataWay) {
	if c.probing {
		return
	}
	for i := range c.proven {
		if p := &c.proven[i]; p.way == way {
			p.last, p.faith = time.Now(), false
		}
	}
	c.locate()
	if c.facts.Ahead == aheadDoubtful && way.Method == data.Passive {
		c.learnAhead(aheadFails) // alone it works
	}
	known := c.facts.Channels.of(c.outlook.key)
	latest := known.worked(way, c.tls != nil, c.outlook.again, c.outlook.View, time.Now())
	c.outlook.again = false
	c.facts.Channels = c.facts.Channels.with(latest)
	if known.Way != latest.Way && (known.Way != "" || len(c.unreachable) > 0) {
		c.options.Logger.Info("data connections work in another way", "address", c.address, "way", latest.Way,
			"before", known.Way, "network", c.outlook.key)
	}
}

// forgetWay notes that way does not work, if it is the one that is remembered.
func (c *Conn) forgetWay(way DataWay) {
	c.unprove(way)
	if c.facts.Ahead == aheadDoubtful {
		c.facts.Ahead, c.facts.AheadLearned = "", 0 // it was the way as such
	}
	if known := c.facts.Channels.of(c.outlook.key); known.Way == way.String() {
		c.facts.Channels = c.facts.Channels.with(known.failed())
	}
}
