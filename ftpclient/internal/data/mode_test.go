package data

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNext lets every attempt fail: want is the order in which modes are tried.
func TestNext(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:21"), netip.MustParseAddrPort("[2001:db8::1]:21")
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:21")
	tests := []struct {
		name  string
		env   Env
		tried []Attempt
		want  []Mode
	}{
		{name: "passive modes only, where nobody can call back", env: Env{Server: v4}, want: []Mode{EPSV, PASV}},
		{name: "IPv6 has no PASV", env: Env{Server: v6}, want: []Mode{EPSV}},
		{name: "IPv4 in the clothes of IPv6 has", env: Env{Server: mapped}, want: []Mode{EPSV, PASV}},
		{name: "active modes come last where the server can call back",
			env: Env{Server: v4, ActiveReachable: true}, want: []Mode{EPSV, PASV, PORT, EPRT}},
		{name: "IPv6 has no PORT", env: Env{Server: v6, ActiveReachable: true}, want: []Mode{EPSV, EPRT}},
		{name: "passive only is obeyed where the server can call back",
			env: Env{Server: v4, Policy: PassiveOnly, ActiveReachable: true}, want: []Mode{EPSV, PASV}},
		{name: "active only is obeyed where nobody said that the server can call back",
			env: Env{Server: v4, Policy: ActiveOnly}, want: []Mode{PORT, EPRT}},
		{name: "active only on IPv6", env: Env{Server: v6, Policy: ActiveOnly}, want: []Mode{EPRT}},
		{name: "EPSV is left out where it was refused", env: Env{Server: v4, EPSVRefused: true}, want: []Mode{PASV}},
		{name: "EPSV is left out on IPv6, too, and nothing is left", env: Env{Server: v6, EPSVRefused: true}},
		{name: "what worked last comes first", env: Env{Server: v4, Remembered: PASV}, want: []Mode{PASV, EPSV}},
		{name: "what worked last comes first among active modes, too",
			env: Env{Server: v4, ActiveReachable: true, Remembered: EPRT}, want: []Mode{EPRT, EPSV, PASV, PORT}},
		{name: "a memory does not break the policy", env: Env{Server: v4, Policy: PassiveOnly, Remembered: PORT}, want: []Mode{EPSV, PASV}},
		{name: "a memory does not bring back what was refused", env: Env{Server: v4, EPSVRefused: true, Remembered: EPSV}, want: []Mode{PASV}},
		{name: "a memory from another network does not bring PASV to IPv6", env: Env{Server: v6, Remembered: PASV}, want: []Mode{EPSV}},
		{name: "a mode that could not be reached is not tried again",
			env: Env{Server: v4}, tried: []Attempt{{Mode: EPSV, Stage: Unreachable}}, want: []Mode{PASV}},
		{name: "a memory that could not be reached is not tried again",
			env: Env{Server: v4, Remembered: PASV}, tried: []Attempt{{Mode: PASV, Stage: Unreachable}}, want: []Mode{EPSV}},
		{name: "nothing is left", env: Env{Server: v4}, tried: []Attempt{{Mode: PASV, Stage: Refused}, {Mode: EPSV, Stage: Refused}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got []Mode
			tried := test.tried
			for {
				mode, ok := Next(test.env, tried)
				if !ok {
					break
				}
				got = append(got, mode)
				tried = append(tried, Attempt{Mode: mode, Stage: Refused})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
