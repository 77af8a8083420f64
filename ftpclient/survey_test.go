package ftpclient

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

func TestUnheardSources(t *testing.T) {
	pcp := fmt.Errorf("PCP: %w at 10.10.0.1:5351 in 1s", extip.ErrNoGateway)
	pmp := fmt.Errorf("NAT-PMP: %w: not authorized", extip.ErrRefused)
	refusal := &extip.GatewayError{Gateway: netip.MustParseAddr("10.10.0.1"), Reasons: []error{pcp, pmp}}
	tests := []struct {
		sentence string
		outlook  outlook
		tried    []data.Attempt
		want     []string
	}{
		{"the gateway that opens no port is named, and each reason tells its protocol once",
			outlook{refusal: refusal, Survey: Survey{SourceErrors: map[string]error{"PCP": pcp, "NAT-PMP": pmp}}}, nil,
			[]string{
				"gateway 10.10.0.1 opens no port", "NAT-PMP: refused by the gateway: not authorized",
				"PCP: no answer from the gateway at 10.10.0.1:5351 in 1s",
			}},
		{"a source that does not name itself is named",
			outlook{Survey: Survey{SourceErrors: map[string]error{"HTTP": errors.New("no route")}}}, nil, []string{"HTTP: no route"}},
		{"what the attempt to open a port tells is not told again",
			outlook{Survey: Survey{SourceErrors: map[string]error{"PCP": pcp, "STUN": errors.New("STUN: silence")}}},
			[]data.Attempt{{Way: data.Way{Method: data.Mapped, Command: data.PORT}, Err: refusal}}, []string{"STUN: silence"}},
		{"gateways that were not to be asked are not mentioned", outlook{refusal: extip.ErrNoGateway}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			if difference := cmp.Diff(test.want, test.outlook.unheard(test.tried)); difference != "" {
				t.Error(difference)
			}
		})
	}
}
