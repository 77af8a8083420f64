package service

import (
	"fmt"
	"os/exec"
	"strings"
)

// unitRuns asks systemd, and is Running. The library of service managers takes a service for running that ends again and again, as
// long as systemd is about to start it anew.
func unitRuns() (running bool, reason string, err error) {
	text, err := exec.Command("systemctl", "show", name+".service", "--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,NRestarts").Output()
	if err != nil {
		return false, "", fmt.Errorf("systemctl show: %w", err)
	}
	return standingOf(string(text))
}

// forgetFailure has systemd not list a service among those that have failed that is not there any more. It refuses where there is nothing
// to forget.
func forgetFailure() { _ = exec.Command("systemctl", "reset-failed", name+".service").Run() }

// standingOf reads what systemd shows of a unit: lines NAME=VALUE, see systemctl(1).
func standingOf(shown string) (running bool, reason string, err error) {
	unit := map[string]string{}
	for line := range strings.Lines(shown) {
		property, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		unit[property] = value
	}
	ended := fmt.Sprintf("it ended by itself (%s, exit code %s): see journalctl -u %s", unit["Result"], unit["ExecMainStatus"], name)
	switch load, active, sub := unit["LoadState"], unit["ActiveState"], unit["SubState"]; {
	case load == "not-found":
		return false, "", ErrNotInstalled
	case load != "loaded" && active == "inactive":
		return false, "its unit is " + load, nil
	case sub == "auto-restart":
		return false, ended + "; systemd is about to start it anew", nil
	case active == "failed":
		return false, ended, nil
	case active == "activating":
		return true, "it is starting", nil
	case active == "deactivating":
		return true, "it is stopping", nil
	}
	if count := unit["NRestarts"]; count != "" && count != "0" {
		reason = "systemd has started it anew after a failure, times: " + count
	}
	switch unit["ActiveState"] {
	case "active", "reloading":
		return true, reason, nil
	}
	return false, reason, nil
}
