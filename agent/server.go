package agent

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// ClientOptions is how the agent connects to a server of which it knows nothing yet.
func ClientOptions(s *config.Server, logger *slog.Logger) ftpclient.Options {
	return clientOptions(s, ftpclient.Facts{}, logger)
}

// clientOptions translates the configuration of a server for the FTP client.
func clientOptions(s *config.Server, facts ftpclient.Facts, logger *slog.Logger) ftpclient.Options {
	o := ftpclient.Options{
		User: s.User, Password: s.Password.Reveal(), Account: s.Account.Reveal(),
		VirtualHost: s.VirtualHost, Proxy: s.ProxyURL(),
		TLS: map[config.TLSMode]ftpclient.TLSMode{
			config.TLSExplicit: ftpclient.TLSExplicit,
			config.TLSImplicit: ftpclient.TLSImplicit,
			config.TLSNone:     ftpclient.TLSNone,
		}[s.TLS],
		TLSConfig: &tls.Config{
			RootCAs: s.RootCAs, ServerName: s.TLSServerName, InsecureSkipVerify: !s.TLSVerify, MinVersion: s.TLSMin, MaxVersion: s.TLSMax,
		},
		PinnedKeys: s.TLSPins,
		LegacyTLS:  s.TLSLegacy,
		Data: ftpclient.DataOptions{
			Policy: map[config.DataMode]ftpclient.DataPolicy{
				config.DataAuto:    ftpclient.DataAuto,
				config.DataPassive: ftpclient.DataPassiveOnly,
				config.DataActive:  ftpclient.DataActiveOnly,
			}[s.Data.Mode],
			ActivePorts:      ftpclient.PortRange{First: s.Data.ActivePorts.First, Last: s.Data.ActivePorts.Last},
			AnnouncedPorts:   ftpclient.PortRange{First: s.Data.AnnouncedPorts.First, Last: s.Data.AnnouncedPorts.Last},
			ExternalAddress:  s.Data.ExternalIP,
			TrustPASVAddress: s.Data.PASVAddress == config.PASVReply,
			Peers:            s.Data.Peers,
			HolePunch:        s.Data.HolePunch,
		},
		Encoding:       s.Encoding,
		ListLocation:   s.ListTimeZone,
		Compress:       s.Compress,
		CommandLimit:   s.CommandLimit,
		Facts:          facts,
		ConnectTimeout: s.ConnectTimeout,
		ReplyTimeout:   s.ReplyTimeout,
		StallTimeout:   s.StallTimeout,
		Logger:         logger,
	}
	if certificate := s.ClientCertificate.Reveal(); certificate != nil {
		o.TLSConfig.Certificates = []tls.Certificate{*certificate}
	}
	if o.User == "anonymous" && o.Password == "" {
		o.User = "" // the client knows what anonymous servers want to hear
	}
	return o
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// addressesOf are the addresses of a server, the best one first.
func addressesOf(s *config.Server) []string {
	if len(s.Addresses) == 0 {
		return []string{s.Address}
	}
	return s.Addresses
}

// newPool returns a pool of as many connections as are configured, or as the server takes.
// facts are what is known of each address; dial takes the place of the network, nil for that.
func newPool(s *config.Server, facts map[string]ftpclient.Facts, line *bandwidth, locator *extip.Locator, dial dialer, logger *slog.Logger) *ftpclient.Addresses {
	o := clientOptions(s, ftpclient.Facts{}, logger.With("server", s.Name))
	o.DialContext = dial
	o.UploadLimiter, o.DownloadLimiter = line.limiter(), line.limiter()
	if mayCall(s) {
		o.Data.Locator = locator
	}
	return ftpclient.NewAddresses(addressesOf(s), o, facts, ftpclient.PoolOptions{Max: s.Connections, RaiseAfter: limitRaise, RefusedOnce: true})
}

// Connections lends connections to one server, as many as are configured, to who works beside the agents: with what that server
// allows now of the bandwidth. stop ends them, and takes back what was opened at the gateway for them.
func Connections(ctx context.Context, cfg *config.Config, s *config.Server, logger *slog.Logger) (pool *ftpclient.Addresses, stop func()) {
	var locator *extip.Locator
	if mayCall(s) {
		locator = newLocator(cfg, extip.Memory{}, nil, logger)
	}
	stopLocator := runLocator(ctx, locator, logger)
	pool = newPool(s, nil, newBandwidth(s.Bandwidth, time.Now()), locator, nil, logger)
	return pool, func() {
		if err := pool.Close(); err != nil {
			logger.Debug("connections not closed", "server", s.Name, "error", err)
		}
		stopLocator()
	}
}

// workSync translates the configuration of a sync for the workers. Host is the name of this machine.
func workSync(s *config.Sync, host string) work.Sync {
	return work.Sync{
		Name: s.Name, Local: s.Local, Remote: s.Remote,
		Rules: plan.Rules{
			Direction: plan.Direction(s.Direction), Delete: s.Delete,
			Foreign: plan.Foreign(s.OnForeignChange), Conflict: plan.Resolution(s.Conflict),
			Consume: s.AfterUpload != config.After{} || s.AfterDownload != config.After{},
			Links:   plan.Links(s.Links), Host: host, Zone: time.Local,
		},
		Filter: scan.NewFilter(filterOptions(s)),
		Marker: s.Marker, Settle: s.Settle, Ready: scan.NewReady(s.Ready), Moves: s.Moves,
		Upload: work.Upload{
			Direct: !s.Atomic, TempPrefix: s.TempPrefix, TempSuffix: s.TempSuffix, TempFolder: s.TempFolder,
			Mode: s.Mode, After: after(s.AfterUpload), RemoteName: remoteName(s.RemoteName),
		},
		Download:  work.Download{Claim: s.Claim, After: after(s.AfterDownload)},
		Verify:    work.Verify(s.Verify),
		Trash:     s.Trash,
		TrashKeep: s.TrashKeep,
		Appends:   appends(s),
		Polled:    s.Poll > 0,
		Hooks: work.Hooks{
			Before: s.Hooks.Before, After: s.Hooks.After, OnError: s.Hooks.OnError, Shell: s.Hooks.Shell, Timeout: s.Hooks.Timeout,
		},
	}
}

func filterOptions(s *config.Sync) scan.FilterOptions {
	o := scan.FilterOptions{
		Include: s.Include, Exclude: slices.Clip(s.Exclude), IgnoreFile: s.IgnoreFile, Defaults: s.DefaultExcludes, IgnoreCase: s.IgnoreCase,
		MinSize: s.MinSize, MaxSize: s.MaxSize, MinAge: s.MinAge, MaxAge: s.MaxAge, Ready: scan.NewReady(s.Ready),
	}
	for _, folder := range s.Hidden { // behind all others, so that none takes it back
		o.Exclude = append(o.Exclude, "/"+literally.Replace(folder)+"/")
	}
	return o
}

// literally takes the meaning from the characters that have one in a pattern.
var literally = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`)

// after gives a file that moves a place of its own below the folder, in the folders that it is in now.
func after(a config.After) work.After {
	if a.Move.IsZero() {
		return work.After{Delete: a.Delete}
	}
	return work.After{Move: func(rel string, now time.Time) string {
		return path.Join(a.Move.Expand(rel, now, now), rel)
	}}
}

// remoteName returns nil where files keep their names.
func remoteName(template config.NameTemplate) func(string, time.Time) string {
	if template.IsZero() {
		return nil
	}
	return func(rel string, modified time.Time) string {
		return path.Join(path.Dir(rel), template.Expand(rel, modified, time.Time{}))
	}
}

// appends returns nil where no file only ever grows.
func appends(s *config.Sync) func(rel string) bool {
	if len(s.Append) == 0 {
		return nil
	}
	filter := scan.NewFilter(scan.FilterOptions{Include: s.Append, IgnoreCase: s.IgnoreCase})
	return func(rel string) bool { return !filter.Excluded(rel, false) }
}

// identity is what the baseline of a sync is about. With another one, what was in step before
// says nothing about what is there now.
func identity(cfg *config.Config, s *config.Sync) string {
	server := cfg.Servers[s.Server]
	address := server.Address
	if server.VirtualHost != "" { // another tree at the same address
		address += "/" + server.VirtualHost
	}
	id := server.User + "@" + address + " " + s.Remote + " " + s.Local + " " + string(s.Direction)
	if !s.RemoteName.IsZero() { // other files on the server
		id += " " + s.RemoteName.String()
	}
	return id
}
