package extip

import "net/netip"

// protocols is the table of those that open ports, the best first; a new one has a line here.
var protocols = []protocol{
	{name: SourcePCP, open: func(o Options, gateway, local netip.Addr, _ string) Mapper {
		return NewPCP(netip.AddrPortFrom(gateway, o.Router.Port()), local)
	}},
	{name: SourceNATPMP, open: func(o Options, gateway, local netip.Addr, _ string) Mapper {
		return NewNATPMP(netip.AddrPortFrom(gateway, o.Router.Port()), local)
	}},
	{name: SourceUPnP, late: true, open: func(o Options, gateway, local netip.Addr, location string) Mapper {
		return NewUPnP(gateway, local, location, o.UPnPSearch)
	}},
}
