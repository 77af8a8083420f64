package extip_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// described is what a gateway lists the mappings of an agent as.
func described(t *testing.T, nonce extip.Nonce) string {
	t.Helper()
	gateway, u := recorded(t, ftptest.IGDOptions{})
	request := ask()
	request.Nonce = nonce
	if _, err := u.Map(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	return gateway.Mappings()[0].Description
}

// TestUPnPTellsAgentsApart on one machine: when the gateway has restarted, one may get the port that the other had.
func TestUPnPTellsAgentsApart(t *testing.T) {
	gateway, one := recorded(t, ftptest.IGDOptions{})
	other := extip.NewUPnP(loopback, loopback, "", gateway.Search())
	request, others := ask(), ask()
	request.Nonce, others.Nonce = extip.Nonce{1}, extip.Nonce{2}
	mapping, err := one.Map(t.Context(), request)
	if err != nil || mapping.Nonce != request.Nonce {
		t.Fatalf("%+v, %v", mapping, err)
	}
	gateway.Forget()
	if _, err := other.Map(t.Context(), others); err != nil {
		t.Fatal(err)
	}
	theirs := gateway.Mappings()[0]
	if !strings.HasPrefix(theirs.Description, "ftpferry ") || len(theirs.Description) != len("ftpferry 01234567") {
		t.Errorf("it is called %q", theirs.Description)
	}
	if err := one.Unmap(t.Context(), mapping); err != nil || len(gateway.Mappings()) != 1 || gateway.Mappings()[0] != theirs {
		t.Errorf("the port was taken from the other: %+v, %v", gateway.Mappings(), err)
	}
	request.External = mapping.External
	again, err := one.Map(t.Context(), request)
	if err != nil || again.External.Port() == theirs.External {
		t.Errorf("renewed as %+v, %v", again, err)
	}
	for _, m := range gateway.Mappings() {
		if m.External == theirs.External && m != theirs {
			t.Errorf("the other's became %+v", m)
		}
	}
}

// TestUPnPKnowsItsMappingsWhereDescriptionsAreLost: those that were granted to it.
func TestUPnPKnowsItsMappingsWhereDescriptionsAreLost(t *testing.T) {
	gateway, u := recorded(t, ftptest.IGDOptions{})
	mapping, err := u.Map(t.Context(), ask())
	if err != nil {
		t.Fatal(err)
	}
	nameless := gateway.Mappings()[0]
	nameless.Description = ""
	gateway.Occupy(nameless)
	request := ask()
	request.External = mapping.External
	if again, err := u.Map(t.Context(), request); err != nil || again.External != mapping.External {
		t.Errorf("renewed as %+v, %v", again, err)
	}
	gateway.Occupy(nameless)
	next := extip.NewUPnP(loopback, loopback, "", gateway.Search())
	if err := next.Unmap(t.Context(), mapping); err != nil || len(gateway.Mappings()) != 0 {
		t.Errorf("Unmap: %v, left %+v", err, gateway.Mappings())
	}
}

// TestUPnPLeavesPortsOfOthersAlone: the gateway refuses a port of another machine, but would overwrite one of another
// program on this machine.
func TestUPnPLeavesPortsOfOthersAlone(t *testing.T) {
	port, ours := internal.Port(), described(t, extip.Nonce{})
	for _, c := range []struct {
		name     string
		existing ftptest.IGDMapping
		faults   map[string]int
		moved    bool // to another external port
	}{
		{name: "another machine has the port", moved: true,
			existing: ftptest.IGDMapping{External: port, Client: netip.MustParseAddrPort("127.0.0.44:50123"), Description: ours}},
		{name: "another machine has the port, and the gateway does not tell", moved: true, faults: map[string]int{"GetSpecificPortMappingEntry": 401},
			existing: ftptest.IGDMapping{External: port, Client: netip.MustParseAddrPort("127.0.0.44:50123")}},
		{name: "the gateway hides whose port it is", moved: true, faults: map[string]int{"GetSpecificPortMappingEntry": 606}},
		{name: "another program on this machine has the port", moved: true,
			existing: ftptest.IGDMapping{External: port, Client: netip.MustParseAddrPort("127.0.0.1:80"), Description: ours}},
		{name: "another protocol has mapped the same port of ours", moved: true,
			existing: ftptest.IGDMapping{External: port, Client: internal, Description: "PCP MAP 01234567"}},
		{name: "another agent has mapped the same port", moved: true,
			existing: ftptest.IGDMapping{External: port, Client: internal, Description: described(t, extip.Nonce{1})}},
		{name: "it is our own from before", moved: false,
			existing: ftptest.IGDMapping{External: port, Client: internal, Description: ours}},
	} {
		for version := 1; version <= 2; version++ {
			t.Run(c.name, func(t *testing.T) {
				gateway, u := recorded(t, ftptest.IGDOptions{Version: version, Faults: c.faults})
				if c.existing.External != 0 {
					gateway.Occupy(c.existing)
				}
				mapping, err := u.Map(t.Context(), ask())
				if c.faults["GetSpecificPortMappingEntry"] == 606 {
					if !errors.Is(err, extip.ErrRefused) || !strings.Contains(err.Error(), "718") || len(gateway.Mappings()) != 0 {
						t.Errorf("Map: %+v, %v", mapping, err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if moved := mapping.External.Port() != port; moved != c.moved {
					t.Errorf("granted %s", mapping.External)
				}
				for _, m := range gateway.Mappings() {
					if c.moved && m.External == port && m != c.existing {
						t.Errorf("the port was overwritten: %+v", m)
					}
				}
				// As if the gateway had given the port to another: that is not ours to delete.
				if c.faults == nil {
					other := ftptest.IGDMapping{External: mapping.External.Port(), Client: netip.MustParseAddrPort("127.0.0.9:50123")}
					gateway.Occupy(other)
					if err := u.Unmap(t.Context(), mapping); err != nil || gateway.Count("DeletePortMapping") != 0 {
						t.Errorf("Unmap: %v, deletions: %d", err, gateway.Count("DeletePortMapping"))
					}
				}
			})
		}
	}
}
