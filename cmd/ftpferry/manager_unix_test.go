//go:build unix

package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/service"
)

// TestTheServiceManagerLearnsHowTheServiceStands from the program itself, through a start, reloads that are taken and refused, and
// the end.
func TestTheServiceManagerLearnsHowTheServiceStands(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "n") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	address := filepath.Join(folder, "s")
	listener, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p, cfg, _ := alone(t, "")
	c := command(t, p.configPath, "run")
	c.Env = append(c.Env, "NOTIFY_SOCKET="+address, "WATCHDOG_USEC=400000")
	program := launch(t, c)
	wait := func(want string) {
		t.Helper()
		if err := listener.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		var told []string
		for buffer := make([]byte, 4096); ; {
			n, err := listener.Read(buffer)
			if err != nil {
				t.Fatalf("not told %q in %q: %v\n%s", want, told, err, program.out)
			}
			told = append(told, string(buffer[:n]))
			if strings.HasPrefix(told[len(told)-1], want) {
				return
			}
		}
	}
	wait("READY=1\nSTATUS=1 sync")
	if _, err := control.Dial(t.Context(), cfg.Agent.StateDir); err != nil {
		t.Errorf("ready, and nobody answers: %v", err)
	}
	health := func(code int, want string) {
		t.Helper()
		var told bytes.Buffer
		if got := run([]string{"-c", p.configPath, "health"}, p.env, &told, &told); got != code || !strings.HasPrefix(told.String(), want) {
			t.Errorf("health: exit code %d, want %d and %q:\n%s", got, code, want, &told)
		}
	}
	health(0, "healthy")
	for range 3 {
		wait("WATCHDOG=1\n")
	}
	signal := func(s os.Signal) {
		t.Helper()
		if err := program.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGHUP)
	wait("RELOADING=1\nMONOTONIC_USEC=")
	wait("READY=1\nSTATUS=1 sync")
	text, err := os.ReadFile(p.configPath)
	if err != nil {
		t.Fatal(err)
	}
	sound := string(text)
	write(t, p.configPath, "what?")
	signal(syscall.SIGHUP)
	wait("RELOADING=1\n")
	wait("READY=1\nSTATUS=the new configuration is not taken")
	signal(syscall.SIGTERM)
	wait("STOPPING=1\n")
	if code, out := program.end(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	write(t, p.configPath, sound)
	health(1, "not healthy: no agent is running")
}

// TestChildrenDoNotSpeakForTheService to the service manager.
func TestChildrenDoNotSpeakForTheService(t *testing.T) {
	for _, variable := range service.Variables {
		t.Setenv(variable, "@nobody")
	}
	m := newManager(os.Getenv)
	if m.Interval() == 0 {
		t.Error("the program itself does not speak")
	}
	for _, variable := range service.Variables {
		if value, set := os.LookupEnv(variable); set {
			t.Errorf("children get %s=%s", variable, value)
		}
	}
}

func TestHowTheServiceStands(t *testing.T) {
	t.Parallel()
	cfg := &config.Config{Syncs: map[string]*config.Sync{"a": nil, "b": nil}}
	for want, p := range map[string]agent.Pulse{
		"2 syncs":                {},
		"2 syncs, 1 job running": {Running: 1},
		"2 syncs, 3 jobs running, 1 HALTED, see ftpferry status": {Running: 3, Halted: 1},
	} {
		if got := standing(cfg, p); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}
