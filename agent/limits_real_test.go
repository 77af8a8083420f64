package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestASyncGoesOnAtAnotherAddress: while the first server is away its twin with the same files stands in, and nothing starts
// anew; when it is back it is used again.
func TestASyncGoesOnAtAnotherAddress(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	twin := ftptest.Real(t, "proftpd", ftptest.RealOptions{Root: server.Root})
	r := newRig(t, server, "up")
	r.adjust = func(cfg *config.Config) {
		cfg.Servers["real"].Addresses = []string{server.Addr, twin.Addr}
	}
	var mutex sync.Mutex
	var told []string
	r.observe = func(a agent.Activity) {
		mutex.Lock()
		defer mutex.Unlock()
		if a.Kind == agent.ActivityAddress {
			told = append(told, a.Text)
		}
	}
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(r.local, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	r.mustBeInStep("at the first address")
	server.Stop()
	write("two")
	if s := r.mustBeInStep("at the second address"); s.Transferred != 1 || s.Adopted != 0 {
		t.Errorf("%+v", s)
	}
	server.Start()
	write("three")
	if s := r.mustBeInStep("at the first address again"); s.Transferred != 1 || s.Adopted != 0 {
		t.Errorf("%+v", s)
	}
	mutex.Lock()
	defer mutex.Unlock()
	// The second pass that finds nothing to do is a new start, which begins at the first address.
	if len(told) == 0 || !strings.HasPrefix(told[0], twin.Addr+" is in use now in place of "+server.Addr) {
		t.Errorf("told: %q", told)
	}
}

// TestBandwidthOfAServer: transfers in both directions stay within the limit together.
func TestBandwidthOfAServer(t *testing.T) {
	t.Parallel()
	const perSecond, files, size = 2 << 20, 6, 1 << 20
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	r := newRig(t, server, "up")
	r.adjust = func(cfg *config.Config) {
		cfg.Servers["real"].Bandwidth = config.Timetable{{BytesPerSecond: perSecond}}
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(r.local, fmt.Sprint("file ", i)), make([]byte, size), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	s := r.once()
	took := time.Since(began)
	least := time.Duration(float64(files*size) / perSecond * float64(time.Second))
	if s.Transferred != files || took < least*9/10 {
		t.Errorf("%d files in %s, want no less than %s", s.Transferred, took, least)
	}
	t.Logf("%.2f MiB a second", float64(files*size)/took.Seconds()/(1<<20))
}

// TestHooksOfASync, written down in a configuration, with a server.
func TestHooksOfASync(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up", `exclude = ["log"]`, `hooks = { after = ["echo \"$FTPFERRY_RESULT $FTPFERRY_PATH $FTPFERRY_BYTES $FTPFERRY_REMOTE\" >> log"], shell = true }`)
	if err := os.WriteFile(filepath.Join(r.local, "one"), []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	if s := r.once(); s.Transferred != 1 {
		t.Fatalf("%+v", s)
	}
	log, err := os.ReadFile(filepath.Join(r.local, "log"))
	if want := "done one 5 /site/one\n"; err != nil || string(log) != want {
		t.Errorf("the hook has written %q, want %q, %v", log, want, err)
	}
}
