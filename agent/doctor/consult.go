package doctor

import (
	"context"
	"log/slog"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// Consult is Examine with a Locator that may ask whom the configuration names for the external
// address. What it has opened at the gateway is closed when Consult returns.
func Consult(ctx context.Context, p Patient, sources config.AddressSources, logger *slog.Logger) (Report, error) {
	if !sources.Gateway && len(sources.STUN)+len(sources.HTTPS) == 0 {
		return Examine(ctx, p), nil
	}
	locator := extip.NewLocator(extip.Options{Gateway: sources.Gateway, STUN: sources.STUN, HTTP: sources.HTTPS, Logger: logger})
	running, stop := context.WithCancel(context.WithoutCancel(ctx)) // the cleaning up needs it, too
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- locator.Run(running) }()
	p.Client.Data.Locator = locator
	report := Examine(ctx, p)
	stop()
	return report, <-ended
}
