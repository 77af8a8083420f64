package ftpclient

import (
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

func TestOnlyTheProvenPort(t *testing.T) {
	fifty, sixty := PortRange{First: 50000, Last: 50010}, PortRange{First: 60000, Last: 60010}
	one := func(port uint16) PortRange { return PortRange{First: port, Last: port} }
	tests := []struct {
		name                                       string
		method                                     DataMethod
		target                                     string
		active, announced, wantActive, wantOutside PortRange
	}{
		{"any port stays any", data.Direct, "192.0.2.1:40000", PortRange{}, PortRange{}, PortRange{}, PortRange{}},
		{"one of a range", data.Forwarded, "203.0.113.2:50003", fifty, PortRange{}, one(50003), PortRange{}},
		{"the last one", data.Forwarded, "203.0.113.2:50010", fifty, PortRange{}, one(50010), PortRange{}},
		{"other ports outside", data.Configured, "203.0.113.2:60003", fifty, sixty, one(50003), one(60003)},
		{"IPv6", data.Direct, "[2001:db8::1]:50003", fifty, PortRange{}, one(50003), PortRange{}},
		{"what the gateway granted says nothing about ports here", data.Mapped, "203.0.113.2:50003", fifty, PortRange{}, fifty, PortRange{}},
		{"a port from elsewhere", data.Forwarded, "203.0.113.2:40000", fifty, PortRange{}, fifty, PortRange{}},
		{"no proof", data.Forwarded, "", fifty, PortRange{}, fifty, PortRange{}},
	}
	for _, test := range tests {
		p := proof{way: DataWay{Method: test.method, Command: PORT}, target: test.target}
		got := p.only(data.Options{ActivePorts: test.active, AnnouncedPorts: test.announced})
		if got.ActivePorts != test.wantActive || got.AnnouncedPorts != test.wantOutside {
			t.Errorf("%s: %v outside %v, want %v outside %v", test.name, got.ActivePorts, got.AnnouncedPorts, test.wantActive, test.wantOutside)
		}
	}
}
