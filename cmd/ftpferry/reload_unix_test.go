//go:build unix

package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// TestSignalsWhileTheConfigurationIsRead, which waits for a program that tells a password: another SIGHUP has it read once more, and a stop
// waits for nothing.
func TestSignalsWhileTheConfigurationIsRead(t *testing.T) {
	t.Parallel()
	p, _, _ := alone(t, "")
	folder := filepath.Dir(p.configPath)
	text, err := os.ReadFile(p.configPath)
	if err != nil {
		t.Fatal(err)
	}
	// The program notes that it was called, and waits for a file, or for the end of the test.
	begun, goOn := filepath.Join(folder, "begun"), filepath.Join(folder, "go-on")
	script := fmt.Sprintf("echo >>%[2]s; while test -d %[1]s && ! test -e %[3]s; do sleep 0.1; done; echo secret", folder, begun, goOn)
	asking := strings.Replace(strings.Replace(string(text), `remote = "/"`, `remote = "/web"`, 1), "[server.acme]\n", fmt.Sprintf("[server.acme]\nuser = \"u\"\npassword = { command = [\"sh\", \"-c\", %q] }\n", script), 1)
	write(t, p.configPath, asking)
	write(t, goOn, "")
	manager := listen(t)
	program := manager.launch(t, p.configPath)
	signal := func(s os.Signal) {
		t.Helper()
		if err := program.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	await := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waited in vain for %s:\n%s", what, program.out)
			}
		}
	}
	isAsked := func(times int) func() bool {
		return func() bool {
			lines, _ := os.ReadFile(begun)
			return len(lines) >= times
		}
	}
	manager.wait(t, "READY=1\nSTATUS=1 sync", program.out)
	if err := os.Remove(goOn); err != nil {
		t.Fatal(err)
	}
	signal(syscall.SIGHUP)
	await("the program to be asked", isAsked(2))
	another := "[sync.other]\nserver = \"acme\"\nlocal = \"other\"\nremote = \"/other\"\ndirection = \"up\"\nwatch = true\n"
	if err := os.Mkdir(filepath.Join(folder, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, p.configPath, asking+another)
	signal(syscall.SIGHUP)
	await("the signal to be noticed", func() bool {
		return strings.Contains(program.out.String(), "the configuration is read again when what is under way is done")
	})
	write(t, goOn, "")
	manager.wait(t, "READY=1\nSTATUS=2 syncs", program.out)

	if err := os.Remove(goOn); err != nil {
		t.Fatal(err)
	}
	signal(syscall.SIGHUP)
	await("the program to be asked", isAsked(4))
	signal(syscall.SIGTERM)
	manager.wait(t, "STOPPING=1\n", program.out)
	if code, out := program.end(t); code != 0 || strings.Contains(out, "configuration not taken") {
		t.Errorf("exit code %d, and nobody is to wait for the program:\n%s", code, out)
	}
}

// TestAReloadBeforeTheAgentIsReady waits for that: the end of a reload tells the service manager that the service is up.
func TestAReloadBeforeTheAgentIsReady(t *testing.T) {
	t.Parallel()
	p, cfg, _ := alone(t, "")
	manager := listen(t)
	p.env = func(name string) string { return map[string]string{"NOTIFY_SOCKET": manager.address}[name] }
	var said output
	p.stdout, p.stderr = &said, &said
	write(t, p.configPath, "what?")
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGHUP
	ended := make(chan error, 1)
	go func() { ended <- newServing(p).run(t.Context(), cfg, signals) }()
	told := manager.wait(t, "READY=1\nSTATUS=the new configuration is not taken", &said)
	if len(told) < 3 || !strings.HasPrefix(told[0], "READY=1\nSTATUS=1 sync") {
		t.Errorf("told %q", told)
	}
	signals <- syscall.SIGTERM
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestAStopAtOnceWaitsForNobody who reads the state.
func TestAStopAtOnceWaitsForNobody(t *testing.T) {
	t.Parallel()
	p, cfg, _ := alone(t, "")
	db := p.mustOpen(t, cfg, slog.New(slog.DiscardHandler))
	defer db.Close()
	reading, read := make(chan struct{}), make(chan struct{})
	reader := make(chan error, 1)
	go func() {
		reader <- db.View(func(*state.Tx) error {
			close(reading)
			<-read
			return nil
		})
	}()
	<-reading
	left := make(chan struct{})
	go func() {
		defer close(left)
		leave(db, exit{control.ExitUnfinished, errAtOnce})
	}()
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("it waits")
	}
	close(read)
	<-left
	if err := <-reader; err != nil {
		t.Error(err)
	}
	leave(db, nil)
	if err := db.View(func(*state.Tx) error { return nil }); err == nil {
		t.Error("any other stop leaves the state open")
	}
}
