package ftpclient

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

func channelIn(network, way string) Channel { return Channel{Network: network, Way: way} }

func TestChannelsKeepTheNetworksUsedLast(t *testing.T) {
	full := Channels{channelIn("a", "passive EPSV"), channelIn("b", "passive PASV"), channelIn("c", "direct PORT"), channelIn("d", "mapped PORT")}
	tests := []struct {
		name   string
		known  Channels
		latest Channel
		want   Channels
	}{
		{"the first network", Channels{}, channelIn("a", "passive EPSV"), Channels{channelIn("a", "passive EPSV")}},
		{"the network in front changes in its place", full, channelIn("a", "direct PORT"),
			Channels{channelIn("a", "direct PORT"), full[1], full[2], full[3]}},
		{"a network that is used comes to the front", full, full[2], Channels{full[2], full[0], full[1], full[3]}},
		{"a new network takes the place of the one not used for longest", full, channelIn("e", "passive EPSV"),
			Channels{channelIn("e", "passive EPSV"), full[0], full[1], full[2]}},
		{"a network of which nothing is known any more goes", full, Channel{Network: "b"}, Channels{full[0], full[2], full[3]}},
		{"that a helper was seen stays", Channels{full[0]}, Channel{Network: "a", PlainHelper: true}, Channels{{Network: "a", PlainHelper: true}}},
		{"gaps close", Channels{{}, full[0]}, full[1], Channels{full[1], full[0]}},
	}
	for _, test := range tests {
		known := test.known
		if diff := cmp.Diff(test.want, test.known.with(test.latest)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if known != test.known {
			t.Errorf("%s: what was known before has changed", test.name)
		}
	}
}

func TestWhatWorkedIsTrusted(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	ago := func(d time.Duration) int64 { return now.Add(-d).Unix() }
	epsv, direct := DataWay{Method: data.Passive, Command: EPSV}, DataWay{Method: data.Direct, Command: PORT}
	here, elsewhere := netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("203.0.113.3")
	tests := []struct {
		name    string
		known   Channel
		view    netip.Addr
		want    DataWay
		expired bool
	}{
		{"nothing is known", Channel{}, here, DataWay{}, false},
		{"a way that no version of this program had", Channel{Way: "carrier pigeon", Since: ago(0)}, here, DataWay{}, false},
		{"what worked a minute ago", Channel{Way: "direct PORT", Since: ago(time.Minute), View: here.String()}, here, direct, false},
		{"before the server was asked", Channel{Way: "direct PORT", Since: ago(time.Minute), View: here.String()}, netip.Addr{}, direct, false},
		{"a server that did not tell then", Channel{Way: "direct PORT", Since: ago(time.Minute)}, here, direct, false},
		{"from another address it is another network", Channel{Way: "direct PORT", Since: ago(time.Minute), View: here.String()}, elsewhere, DataWay{}, false},
		{"after a day better ways get another chance", Channel{Way: "direct PORT", Since: ago(24 * time.Hour)}, here, DataWay{}, true},
		{"for the best way a day is nothing", Channel{Way: "passive EPSV", Since: ago(24 * 365 * time.Hour)}, here, epsv, false},
		{"a clock that was far ahead", Channel{Way: "direct PORT", Since: ago(-100 * time.Hour)}, here, DataWay{}, true},
	}
	for _, test := range tests {
		if way, expired := test.known.trusted(epsv, test.view, now); way != test.want || expired != test.expired {
			t.Errorf("%s: %v, %v", test.name, way, expired)
		}
	}
}

func TestWhatIsNotedOfAWayThatWorks(t *testing.T) {
	then, now := time.Unix(1_700_000_000, 0), time.Unix(1_800_000_000, 0)
	direct, helper := DataWay{Method: data.Direct, Command: PORT}, DataWay{Method: data.Helper, Command: PORT}
	seen := netip.MustParseAddr("203.0.113.2")
	known := Channel{Network: "a", Way: "direct PORT", Since: then.Unix(), View: "203.0.113.1"}
	tests := []struct {
		name           string
		known          Channel
		way            DataWay
		secured, again bool
		view           netip.Addr
		want           Channel
	}{
		{"something new", Channel{Network: "a"}, direct, false, false, seen, Channel{Network: "a", Way: "direct PORT", Since: now.Unix(), View: seen.String()}},
		{"the same once more changes nothing", known, direct, false, false, netip.Addr{}, known},
		{"the same from another address", known, direct, false, false, seen, Channel{Network: "a", Way: "direct PORT", Since: then.Unix(), View: seen.String()}},
		{"the same, after better ways had their chance", known, direct, false, true, netip.Addr{},
			Channel{Network: "a", Way: "direct PORT", Since: now.Unix(), View: known.View}},
		{"a helper without TLS is one", Channel{Network: "a"}, helper, false, false, netip.Addr{},
			Channel{Network: "a", Way: "helper PORT", Since: now.Unix(), PlainHelper: true}},
		{"with TLS it is none", Channel{Network: "a"}, helper, true, false, netip.Addr{}, Channel{Network: "a", Way: "helper PORT", Since: now.Unix()}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, test.known.worked(test.way, test.secured, test.again, test.view, now)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
