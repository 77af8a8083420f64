package extip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// configuredLifetime is that of what cannot change while the program runs.
const configuredLifetime = 24 * time.Hour

// NewConfigured returns a source that says what the operator said.
func NewConfigured(address netip.Addr) Source { return configured{address.Unmap()} }

type configured struct{ address netip.Addr }

func (configured) Name() string { return SourceConfigured }

func (c configured) Lookup(context.Context) (Finding, error) {
	if !c.address.IsValid() {
		return Finding{}, errors.New("no external address is configured")
	}
	return Finding{Source: SourceConfigured, Address: c.address, Detail: "by configuration", Lifetime: configuredLifetime}, nil
}

// NewInterface returns a source that says the local address of connections, if others can reach
// such an address: then there is no NAT.
func NewInterface(local netip.Addr) Source { return ownAddress{local.Unmap()} }

type ownAddress struct{ address netip.Addr }

func (ownAddress) Name() string { return SourceInterface }

func (o ownAddress) Lookup(context.Context) (Finding, error) {
	if Private(o.address) {
		return Finding{}, fmt.Errorf("the local address %s is not a public one", o.address)
	}
	return Finding{Source: SourceInterface, Address: o.address.WithZone(""), Detail: "local address", Lifetime: findingLifetime}, nil
}
