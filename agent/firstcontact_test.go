package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestEqualFilesMeetForTheFirstTime, on a server that lists in a time zone that it does not tell. Nothing is copied that is the
// same on both sides, and what differs is kept twice.
func TestEqualFilesMeetForTheFirstTime(t *testing.T) {
	for _, zone := range []int{-11 * 3600, -5 * 3600, 5*3600 + 1800, 13 * 3600} {
		for _, can := range []ftptest.Abilities{{}, {MDTM: true}, {MDTM: true, MFMT: true}, {MFMT: true}} {
			for _, shift := range []time.Duration{0, time.Hour} { // of the times on the server
				t.Run(fmt.Sprintf("%d %v %v %v", zone, can.MDTM, can.MFMT, shift), func(t *testing.T) {
					folder := t.TempDir()
					synctest.Test(t, func(t *testing.T) {
						can.Zone = time.FixedZone("far", zone)
						firstContact(t, folder, can, shift)
					})
				})
			}
		}
	}
}

func firstContact(t *testing.T, folder string, can ftptest.Abilities, shift time.Duration) {
	s := newSimulation(t, 1, folder)
	s.site, s.sites = s.sites[0], s.sites[:1]
	s.server.Abilities, s.server.Latency, s.server.Fault = can, time.Millisecond, nil
	s.server.Changed, s.server.Lost = nil, nil
	var transfers atomic.Int32
	s.server.Before = func(line string) {
		if strings.HasPrefix(line, "RETR") || strings.HasPrefix(line, "STOR") {
			transfers.Add(1)
		}
	}
	*s.sync = config.Sync{
		Name: s.member, Server: "acme", Local: s.local, Remote: "/site", Enabled: true, Family: "s", Direction: config.Both,
		Delete: true, MaxDelete: config.MaxDelete{Percent: 100, IsPercent: true}, Include: []string{"**"}, Conflict: config.ConflictCopy,
		Links: config.LinksSkip, Verify: config.VerifySize, Atomic: true, TempPrefix: ".", Moves: true,
	}
	s.cfg.Syncs = map[string]*config.Sync{s.member: s.sync}
	if err := os.Mkdir(s.local, 0o700); err != nil {
		t.Fatal(err)
	}
	s.openState(filepath.Join(folder, "0.db"))
	defer func() { s.db.Close() }()
	want := map[string]string{}
	for i, age := range []time.Duration{time.Hour, 36 * time.Hour, 40 * 24 * time.Hour, 100 * 24 * time.Hour, 700 * 24 * time.Hour} {
		name, content, at := fmt.Sprint("f", i), strings.Repeat("x", i+1), time.Now().Add(-age)
		want[name] = content
		if err := os.WriteFile(filepath.Join(s.local, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(s.local, name), at, at); err != nil {
			t.Fatal(err)
		}
		s.server.Put("/site/"+name, content, at.Add(shift))
	}
	check := func(when string) {
		t.Helper()
		far := map[string]string{}
		for name, content := range s.server.Files() {
			far[strings.TrimPrefix(name, "/site/")] = content
		}
		if here := s.localFiles(); !maps.Equal(here, want) || !maps.Equal(far, want) {
			t.Errorf("%s: here %v, on the server %v", when, slices.Sorted(maps.Keys(here)), slices.Sorted(maps.Keys(far)))
		}
	}
	s.pass(3)
	check("equal files")
	if can.MDTM && shift == 0 && transfers.Load() > 0 {
		t.Errorf("%d transfers of files whose times tell that they are the same", transfers.Load())
	}
	transfers.Store(0)
	for range 3 {
		s.pass(1)
	}
	if check("later"); transfers.Load() > 0 {
		t.Errorf("%d transfers, and nothing has changed", transfers.Load())
	}
	if t.Failed() {
		t.Log(s.log.String())
	}
}
