package ftpclient_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestRealServersWithoutPassiveModeAreReached in the other way, with nothing configured, and at
// once when it is known.
func TestRealServersWithoutPassiveModeAreReached(t *testing.T) {
	ftptest.Leaks(t)
	for _, name := range ftptest.RealServers {
		if !ftptest.Offers(name, "Deny") {
			continue
		}
		for _, s := range []security{securities[0], securities[2]} {
			t.Run(name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: s.version != 0, Deny: []string{"EPSV", "PASV"}})
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				o := optionsFor(server, s)
				whole := content(7, 300_000)
				for contact := range 2 {
					conn := dial(t, ctx, server.Addr, o)
					if _, err := put(ctx, conn, "file", bytes.NewReader(whole)); err != nil {
						t.Fatal(err)
					}
					if got, err := os.ReadFile(filepath.Join(server.Root, "file")); err != nil || !bytes.Equal(got, whole) {
						t.Errorf("contact %d: %d bytes arrived, %v", contact, len(got), err)
					}
					if got, _, err := get(ctx, conn, "file"); err != nil || got != string(whole) {
						t.Errorf("contact %d: %d bytes came back, %v", contact, len(got), err)
					}
					if listing, err := conn.List(ctx, ""); err != nil || len(listing.Entries) != 1 {
						t.Errorf("contact %d: %+v, %v", contact, listing, err)
					}
					o.Facts = conn.Facts()
					if got := o.Facts.Channels[0]; got.Way != "direct PORT" || got.Network != loopback {
						t.Errorf("contact %d: remembered %+v", contact, got)
					}
					conn.Close()
				}
			})
		}
	}
}

// TestRealServersAreProbed in every way there is on one machine.
func TestRealServersAreProbed(t *testing.T) {
	ftptest.Leaks(t)
	want := []string{"passive EPSV", "passive PASV", "direct PORT", "direct EPRT"}
	views := map[string]string{"vsftpd": "STAT", "proftpd": "STAT"} // who tells as whom it sees us
	for _, name := range ftptest.RealServers {
		for _, s := range []security{securities[0], securities[2]} {
			t.Run(name+" "+s.name, func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: s.version != 0})
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				var log bytes.Buffer
				o := optionsFor(server, s)
				o.Logger = slog.New(slog.NewTextHandler(&log, nil))
				conn := dial(t, ctx, server.Addr, o)
				if err := conn.MakeDir(ctx, "scratch"); err != nil {
					t.Fatal(err)
				}
				survey, err := conn.Survey(ctx)
				here := netip.MustParseAddr("127.0.0.1")
				if err != nil || survey.ViewFrom != views[name] || survey.ViewFrom != "" && survey.View != here {
					t.Errorf("%+v, %v", survey, err)
				}
				if survey.Local != here || survey.Server != here || survey.Network.Key() != loopback {
					t.Errorf("%+v", survey)
				}
				before := conn.Facts().Channels
				var reported []string
				results, err := conn.ProbeWays(ctx, "scratch", func(r ftpclient.WayResult) { reported = append(reported, r.Way.String()) })
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(reported, want) || len(results) != len(want) {
					t.Errorf("probed %q, want %q", reported, want)
				}
				for _, r := range results {
					if !r.Works || r.Err != nil || r.Stage != 0 || r.Target == "" || r.Took <= 0 || r.Took > 20*time.Second {
						t.Errorf("%+v", r)
					}
					if r.Resumed != resumes(name, s) {
						t.Errorf("%s: resumed %v", r.Way, r.Resumed)
					}
				}
				if log.Len() > 0 {
					t.Errorf("a probe has a result and logs %s", &log)
				}
				if conn.Facts().Channels != before || !conn.Usable() {
					t.Error("a probe is remembered, or cost the connection")
				}
			})
		}
	}
}

// TestARealServerIsSentToAPortThatNobodyForwards: the configured way fails without a trace on the
// server, and the next one is taken.
func TestARealServerIsSentToAPortThatNobodyForwards(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			before := []byte("what was there before")
			if err := os.WriteFile(filepath.Join(server.Root, "file"), before, 0o666); err != nil {
				t.Fatal(err)
			}
			if os.Chmod(filepath.Join(server.Root, "file"), 0o666) != nil {
				t.Fatal("no rights")
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := optionsFor(server, securities[0])
			o.Data = ftpclient.DataOptions{
				Policy: ftpclient.DataActiveOnly, ExternalAddress: netip.MustParseAddr("127.0.0.1"),
				ActivePorts:    ftpclient.PortRange{First: freePort(t)},
				AnnouncedPorts: ftpclient.PortRange{First: uint16(refusedPort(t))},
			}
			conn := dial(t, ctx, server.Addr, o)
			results, err := conn.ProbeWays(ctx, "", nil)
			if err != nil || len(results) < 2 || results[0].Works || results[0].Reply.Code == 0 || !results[len(results)-1].Works {
				t.Fatalf("%+v, %v", results, err)
			}
			transfer, err := conn.Store(ctx, "other", 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := transfer.Finish(ctx); err != nil {
				t.Error(err)
			}
			if got := conn.Facts().Channels[0].Way; got != "direct PORT" {
				t.Errorf("way %q", got)
			}
			if got, err := os.ReadFile(filepath.Join(server.Root, "file")); err != nil || !bytes.Equal(got, before) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
