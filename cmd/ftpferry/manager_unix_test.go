//go:build unix

package main

import (
	"bytes"
	"fmt"
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

// serviceManager is what a program tells how it stands.
type serviceManager struct {
	address string
	told    chan string // has room for more than any test has it told: who is not heard waits
}

func listen(t *testing.T) serviceManager {
	t.Helper()
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
	m := serviceManager{address, make(chan string, 1<<16)}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for buffer := make([]byte, 4096); ; {
			n, err := listener.Read(buffer)
			if err != nil {
				return
			}
			m.told <- string(buffer[:n])
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-over
	})
	return m
}

// launch starts an agent, with a watchdog that is in a hurry.
func (m serviceManager) launch(t *testing.T, config string) process {
	t.Helper()
	c := command(t, config, "run")
	c.Env = append(c.Env, "NOTIFY_SOCKET="+m.address, "WATCHDOG_USEC=400000")
	return launch(t, c)
}

// wait returns when it is told what begins with want, with all that it was told before. said is what the program has said besides.
func (m serviceManager) wait(t *testing.T, want string, said fmt.Stringer) (told []string) {
	t.Helper()
	for late := time.After(patience); ; {
		select {
		case line := <-m.told:
			if told = append(told, line); strings.HasPrefix(line, want) {
				return told
			}
		case <-late:
			t.Fatalf("not told %q in %q:\n%s", want, told, said)
		}
	}
}

// TestTheServiceManagerLearnsHowTheServiceStands from the program itself, through a start, reloads that are taken and refused, and
// the end.
func TestTheServiceManagerLearnsHowTheServiceStands(t *testing.T) {
	t.Parallel()
	p, cfg, _ := alone(t, "")
	listener := listen(t)
	program := listener.launch(t, p.configPath)
	wait := func(want string) {
		t.Helper()
		listener.wait(t, want, program.out)
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
	wait("STOPPING=1\nEXTEND_TIMEOUT_USEC=")
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
