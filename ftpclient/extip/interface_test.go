package extip

import (
	"net/netip"
	"testing"
)

func TestConfiguredAndLocalAddresses(t *testing.T) {
	for name, test := range map[string]struct {
		source Source
		want   string // "" for an error
	}{
		"what is configured is believed":             {NewConfigured(netip.MustParseAddr("203.0.113.7")), "203.0.113.7"},
		"even if nobody can reach it":                {NewConfigured(netip.MustParseAddr("10.0.0.7")), "10.0.0.7"},
		"in the form of IPv4":                        {NewConfigured(netip.MustParseAddr("::ffff:203.0.113.7")), "203.0.113.7"},
		"nothing is configured":                      {NewConfigured(netip.Addr{}), ""},
		"a public local address is the outer one":    {NewInterface(netip.MustParseAddr("198.51.100.7")), "198.51.100.7"},
		"one of IPv6 too":                            {NewInterface(netip.MustParseAddr("2a00::7")), "2a00::7"},
		"a private one is not":                       {NewInterface(netip.MustParseAddr("192.168.1.7")), ""},
		"nor one that a provider's NAT is behind":    {NewInterface(netip.MustParseAddr("100.64.1.7")), ""},
		"nor a unique local or a link-local of IPv6": {NewInterface(netip.MustParseAddr("fe80::1%eth0")), ""},
		"nor none": {NewInterface(netip.Addr{}), ""},
	} {
		finding, err := test.source.Lookup(t.Context())
		if test.want == "" {
			if err == nil || finding != (Finding{}) {
				t.Errorf("%s: have %+v, %v", name, finding, err)
			}
			continue
		}
		if err != nil || finding.Address.String() != test.want || finding.Source != test.source.Name() || finding.Lifetime <= 0 {
			t.Errorf("%s: have %+v, %v", name, finding, err)
		}
	}
}
