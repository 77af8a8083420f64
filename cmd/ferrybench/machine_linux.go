package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// machine says what the numbers depend on.
func machine() []string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if found := regexp.MustCompile(`(?m)^model name\s*:\s*(.*)$`).FindSubmatch(text); found != nil {
			model = string(found[1])
		}
	}
	release := "unknown"
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		release = unix.ByteSliceToString(name.Release[:])
	}
	return []string{
		fmt.Sprintf("%d x %s; Linux %s; %s", runtime.NumCPU(), model, release, runtime.Version()),
		fmt.Sprintf("TCP: %s, tcp_wmem %s, tcp_rmem %s", setting("tcp_congestion_control"), setting("tcp_wmem"), setting("tcp_rmem")),
	}
}

func setting(name string) string {
	text, err := os.ReadFile("/proc/sys/net/ipv4/" + name)
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// load is the load average of 1, 5 and 15 minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// versionOf is the first line that a program says of itself, up to what it was built with.
func versionOf(ctx context.Context, program string, arguments []string) string {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Env = append(os.Environ(), "HOME=/nonexistent", "LC_ALL=C.UTF-8")
	output, _ := command.CombinedOutput() // some end with an error, and say it all the same
	version, _, _ := strings.Cut(firstLine(string(output)), " (")
	version, _, _ = strings.Cut(version, " | Copyright")
	return strings.TrimSpace(version)
}

// firstLine is the first one that is not empty.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// noteServer adds to the report what a server says of its version, once.
func (b *bench) noteServer(name string, l *line, server *ftptest.RealServer) {
	greeting := ""
	err := l.client.Do(func() error {
		conn, err := net.Dial("tcp", server.Addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		greeting, err = bufio.NewReader(conn).ReadString('\n')
		return err
	})
	if err != nil {
		return // the clients will tell
	}
	line := name + ": " + versionIn(name, greeting+server.Log())
	if !slices.Contains(b.report.Versions, line) {
		b.report.Versions = append(b.report.Versions, line)
	}
}
