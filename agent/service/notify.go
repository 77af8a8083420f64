// Package service is what a service manager has to do with the agent: how it is told how the agent stands, and how the agent is
// put under it.
package service

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// The variables of sd_notify(3) and sd_watchdog_enabled(3). They are for this process alone.
const (
	variableSocket      = "NOTIFY_SOCKET"
	variableWatchdog    = "WATCHDOG_USEC"
	variableWatchdogPID = "WATCHDOG_PID"
)

// Variables are to be taken out of the environment once [NewNotifier] has read them: a command that the agent starts must not
// speak for it.
var Variables = [...]string{variableSocket, variableWatchdog, variableWatchdogPID}

// notifyPatience bounds how long a service manager that does not read may keep the caller.
const notifyPatience = time.Second

// Notifier tells systemd how the service stands. One without a socket does nothing. It may be used from several goroutines.
type Notifier struct {
	socket   string
	watchdog time.Duration
}

// NewNotifier reads what systemd has put into the environment of process pid. A notifier can be used in spite of an error, which
// says what in the environment is not understood and ignored.
func NewNotifier(env func(string) string, pid int) (Notifier, error) {
	var n Notifier
	switch socket := env(variableSocket); {
	case socket == "":
		return n, nil
	case socket[0] != '/' && socket[0] != '@':
		return n, fmt.Errorf("$%s: %q is neither a path nor an abstract address", variableSocket, socket)
	default:
		n.socket = socket
	}
	text := env(variableWatchdog)
	if owner := env(variableWatchdogPID); text == "" || owner != "" && owner != strconv.Itoa(pid) {
		return n, nil
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	if err != nil || usec <= 0 {
		return n, fmt.Errorf("$%s: %q is no number of microseconds", variableWatchdog, text)
	}
	n.watchdog = time.Duration(min(usec, maxWatchdog.Microseconds())) * time.Microsecond
	return n, nil
}

// maxWatchdog is more than any service manager waits.
const maxWatchdog = 365 * 24 * time.Hour

// statusInterval is how often a status line is told anew where no watchdog asks for more.
const statusInterval = 30 * time.Second

// Interval is how often Alive is to be called, 0 if nobody listens: twice as often as a watchdog demands, or more.
func (n Notifier) Interval() time.Duration {
	switch {
	case n.socket == "":
		return 0
	case n.watchdog == 0:
		return statusInterval
	}
	return min(n.watchdog/2, statusInterval)
}

// Ready tells that the service is up, or up again after Reloading. status is a short line for people.
func (n Notifier) Ready(status string) error { return n.send("READY=1", statusLine(status)) }

// Alive is the sign of life that a watchdog waits for, if there is one.
func (n Notifier) Alive(status string) error {
	if n.watchdog == 0 {
		return n.send(statusLine(status))
	}
	return n.send("WATCHDOG=1", statusLine(status))
}

// Reloading tells that the configuration is read again; Ready has to follow, whatever becomes of that.
func (n Notifier) Reloading() error {
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(monotonicMicroseconds(), 10))
}

// Stopping tells that the service ends. While that may take its time Draining has to follow, as often as Alive before.
func (n Notifier) Stopping(status string) error {
	return n.send("STOPPING=1", moreTime, statusLine(status))
}

// Draining is Alive of a service that ends: it has the manager wait for two minutes more, however long it has waited.
func (n Notifier) Draining(status string) error {
	if n.watchdog == 0 {
		return n.send(moreTime, statusLine(status))
	}
	return n.send("WATCHDOG=1", moreTime, statusLine(status))
}

// moreTime is several times statusInterval, and enough for what comes after the last transfer.
const moreTime = "EXTEND_TIMEOUT_USEC=120000000"

func statusLine(text string) string { return "STATUS=" + strings.Join(strings.Fields(text), " ") }

// send writes one datagram. It opens the socket each time, as the service manager may have been replaced meanwhile.
func (n Notifier) send(lines ...string) (err error) {
	if n.socket == "" {
		return nil
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer func() {
		if closeErr := connection.Close(); closeErr != nil {
			err = errors.Join(err, fmt.Errorf("tell the service manager: %w", closeErr))
		}
	}()
	if err := connection.SetWriteDeadline(time.Now().Add(notifyPatience)); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	if _, err := connection.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}
