//go:build unix

package service

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

func environment(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestWhatTheEnvironmentAsksFor(t *testing.T) {
	t.Parallel()
	const pid = 42
	for _, row := range []struct {
		name     string
		env      map[string]string
		interval time.Duration
		problem  string
	}{
		{"nobody listens", nil, 0, ""},
		{"a watchdog without a socket has nobody to bark at", map[string]string{variableWatchdog: "5000000"}, 0, ""},
		{"somebody listens", map[string]string{variableSocket: "/x"}, statusInterval, ""},
		{"an abstract address", map[string]string{variableSocket: "@x"}, statusInterval, ""},
		{"a watchdog is fed twice in its time", map[string]string{variableSocket: "/x", variableWatchdog: "5000000"}, 2500 * time.Millisecond, ""},
		{"a patient watchdog", map[string]string{variableSocket: "/x", variableWatchdog: "300000000"}, statusInterval, ""},
		{"a watchdog for this process", map[string]string{variableSocket: "/x", variableWatchdog: "2000000", variableWatchdogPID: "42"}, time.Second, ""},
		{"a watchdog for another process", map[string]string{variableSocket: "/x", variableWatchdog: "2000000", variableWatchdogPID: "43"}, statusInterval, ""},
		{"a watchdog that waits for ages", map[string]string{variableSocket: "/x", variableWatchdog: "9223372036854775807"}, statusInterval, ""},
		{"no number", map[string]string{variableSocket: "/x", variableWatchdog: "1s"}, statusInterval, "$WATCHDOG_USEC"},
		{"a time of nothing", map[string]string{variableSocket: "/x", variableWatchdog: "0"}, statusInterval, "$WATCHDOG_USEC"},
		{"another kind of socket", map[string]string{variableSocket: "vsock:2:1234"}, 0, "$NOTIFY_SOCKET"},
	} {
		n, err := NewNotifier(environment(row.env), pid)
		if got := n.Interval(); got != row.interval {
			t.Errorf("%s: every %v, want %v", row.name, got, row.interval)
		}
		if row.problem == "" && err != nil || row.problem != "" && (err == nil || !strings.Contains(err.Error(), row.problem)) {
			t.Errorf("%s: error %v, want %q", row.name, err, row.problem)
		}
	}
}

// listen is a service manager; heard returns the next thing that it is told.
func listen(t *testing.T, address string) (heard func() string) {
	t.Helper()
	connection, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return func() string {
		t.Helper()
		buffer := make([]byte, 4096)
		if err := connection.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := connection.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "n") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	addresses := []string{filepath.Join(folder, "socket")}
	if runtime.GOOS == "linux" {
		addresses = append(addresses, "@"+folder)
	}
	for _, address := range addresses {
		heard := listen(t, address)
		for _, row := range []struct {
			watchdog string
			tell     func(Notifier) error
			want     string
		}{
			{"", func(n Notifier) error { return n.Ready("2 syncs") }, "READY=1\nSTATUS=2 syncs"},
			{"60000000", func(n Notifier) error { return n.Alive("1 job\nrunning") }, "WATCHDOG=1\nSTATUS=1 job running"},
			{"", func(n Notifier) error { return n.Alive("idle") }, "STATUS=idle"},
			{"", func(n Notifier) error { return n.Stopping("a moment") }, "STOPPING=1\nEXTEND_TIMEOUT_USEC=120000000\nSTATUS=a moment"},
			{"", func(n Notifier) error { return n.Draining("1 job") }, "EXTEND_TIMEOUT_USEC=120000000\nSTATUS=1 job"},
			{"60000000", func(n Notifier) error { return n.Draining("1 job") }, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=120000000\nSTATUS=1 job"},
		} {
			n, err := NewNotifier(environment(map[string]string{variableSocket: address, variableWatchdog: row.watchdog}), 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := row.tell(n); err != nil {
				t.Fatal(err)
			}
			if got := heard(); got != row.want {
				t.Errorf("%s: told %q, want %q", address, got, row.want)
			}
		}
		n, err := NewNotifier(environment(map[string]string{variableSocket: address}), 1)
		if err != nil {
			t.Fatal(err)
		}
		before := monotonicMicroseconds()
		if err := n.Reloading(); err != nil {
			t.Fatal(err)
		}
		told := heard()
		text, ok := strings.CutPrefix(told, "RELOADING=1\nMONOTONIC_USEC=")
		at, err := strconv.ParseInt(text, 10, 64)
		if !ok || err != nil || at < before || at > monotonicMicroseconds() {
			t.Errorf("told %q, and the clock was at %d", told, before)
		}
	}
}

func TestAManagerThatIsGoneIsAnError(t *testing.T) {
	t.Parallel()
	n, err := NewNotifier(environment(map[string]string{variableSocket: filepath.Join(t.TempDir(), "s")}), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready("up"); err == nil {
		t.Error("nobody has heard it, and that is no error")
	}
	if err := (Notifier{}).Ready("up"); err != nil {
		t.Errorf("nobody asked for it: %v", err)
	}
}
