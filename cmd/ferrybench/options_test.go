package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
)

// chosenText is what was chosen, in short.
func chosenText(o options) string {
	var b strings.Builder
	b.WriteString(strings.Join(o.servers, "+") + " " + strings.Join(namesOf(o.works, func(w work) string { return w.name }), "+"))
	b.WriteString(" " + strings.Join(namesOf(o.clients, func(c client) string { return c.name }), "+"))
	for _, secured := range o.secured {
		b.WriteString(map[bool]string{false: " plain", true: " TLS"}[secured])
	}
	return b.String()
}

func TestOptions(t *testing.T) {
	t.Parallel()
	const allClients = "ftpferry+lftp+lftp-pget+rclone+ncftp+wput+curl+curl-Z"
	for _, row := range []struct {
		arguments, want string
		lines, numbers  []int
	}{
		{"", "proftpd U1k+D1k+B1u+B1d " + allClients + " plain", []int{0}, []int{4}},
		{"-servers vsftpd,proftpd -work B1u,U1k -rtt 100,20 -n 1,10 -tls both -peers curl", "vsftpd+proftpd U1k+B1u ftpferry+curl plain TLS", []int{100, 20}, []int{1, 10}},
		{"-peers none -tls on", "proftpd U1k+D1k+B1u+B1d ftpferry TLS", []int{0}, []int{4}},
		{"-all", "vsftpd+proftpd+pure-ftpd+pyftpdlib U1k+D1k+U10k+N10k+R10k+B1u+B1d+B100u+B100d+Mu+Md " + allClients + " plain TLS", []int{0, 20, 100}, []int{4}},
		{"-all -servers vsftpd -work B100u -n 2 -tls off", "vsftpd B100u " + allClients + " plain", []int{100}, []int{2}},
	} {
		var stderr bytes.Buffer
		o, err := parseOptions(strings.Fields(row.arguments), &stderr)
		if err != nil {
			t.Errorf("%q: %v", row.arguments, err)
			continue
		}
		if got := chosenText(o); got != row.want || !slices.Equal(o.allLines(), row.lines) || !slices.Equal(o.connections, row.numbers) {
			t.Errorf("%q: %s %v %v, want %s %v %v", row.arguments, got, o.allLines(), o.connections, row.want, row.lines, row.numbers)
		}
		if o.runs != 3 || o.warmUp != 1 || o.limit != 10*time.Minute {
			t.Errorf("%q: %d runs, %d to warm up, %s", row.arguments, o.runs, o.warmUp, o.limit)
		}
	}
}

func TestWithAllEachWorkloadHasItsLines(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-all"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range o.works {
		for _, milliseconds := range []int{0, 20, 100} {
			if o.has(w, milliseconds) != slices.Contains(w.lines, milliseconds) {
				t.Errorf("%s at %d ms: %v", w.name, milliseconds, o.has(w, milliseconds))
			}
		}
	}
	if o, err = parseOptions([]string{"-all", "-rtt", "50"}, &bytes.Buffer{}); err != nil || !o.has(o.works[0], 50) || o.has(o.works[0], 0) {
		t.Errorf("a line that was asked for: %v %v", o.lines, err)
	}
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	for arguments, want := range map[string]string{
		"-work U1k,U2k":      `-work: there is no "U2k"; there are U5,`,
		"-servers iis":       `-servers: there is no "iis"; there are vsftpd,`,
		"-peers fetch":       `-peers: there is no "fetch"; there are ftpferry,`,
		"-rtt 20ms":          `-rtt: "20ms" is not a number of 0 or more`,
		"-n 0":               `-n: "0" is not a number of 1 or more`,
		"-tls maybe":         `-tls "maybe": it is off, on or both`,
		"-runs 0":            "-runs has to be 1 or more",
		"-frobnicate":        "not defined: -frobnicate",
		"-work U1k stranger": `"stranger" is not a flag; see -help`,
	} {
		var stdout, stderr bytes.Buffer
		if code := program(t.Context(), strings.Fields(arguments), &stdout, &stderr); code != control.ExitUsage || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
			t.Errorf("%q: code %d, %s; want %d with %q", arguments, code, stderr.String(), control.ExitUsage, want)
		}
	}
}

func TestHelpNamesAllThereIs(t *testing.T) {
	t.Parallel()
	var stdout, help bytes.Buffer
	if code := program(t.Context(), []string{"-help"}, &stdout, &help); code != control.ExitDone {
		t.Errorf("code %d", code)
	}
	if code := program(t.Context(), []string{"-list"}, &stdout, &bytes.Buffer{}); code != control.ExitDone {
		t.Errorf("-list: code %d", code)
	}
	names := append(namesOf(works, func(w work) string { return w.name }), namesOf(clients, func(c client) string { return c.name })...)
	for _, name := range names {
		if !strings.Contains(help.String(), name) || !strings.Contains(stdout.String(), name) {
			t.Errorf("%s is missing in -help or -list", name)
		}
	}
	for _, flag := range []string{"-servers", "-work", "-rtt", "-n ", "-tls", "-peers", "-runs", "-warm-up", "-timeout", "-binary", "-dir", "-state", "-all", "-json", "-render", "-list"} {
		if !strings.Contains(help.String(), "\n  "+flag) {
			t.Errorf("%s is missing in -help", flag)
		}
	}
	for line := range strings.Lines(usageText) {
		if len(line) > 100 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
}
