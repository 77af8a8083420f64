package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
)

var update = flag.Bool("update", false, "write golden files")

func runs(turns int, seconds ...float64) (all []run) {
	for i, s := range seconds {
		all = append(all, run{
			Wall: time.Duration(s * float64(time.Second)), CPU: time.Duration(s * float64(time.Second) / 10), Peak: int64(i+1) << 20,
			TimesKept: 10, counts: counts{Turns: turns, Logins: 4, Data: 12},
		})
	}
	return all
}

func sampleReport() report {
	plain := cell{Work: "U1k", Server: "proftpd", RTT: 100, Connections: 4, Files: 10, Bytes: 40 << 10, Rows: []row{
		{Client: ours, Runs: runs(11, 50, 40, 60)},
		{Client: "lftp", Runs: runs(23, 140, 139, 150, 141)},
		{Client: "curl", Runs: runs(23, 500), Single: true},
		{Client: "rclone", Failed: "run 1 of 3: exit status 1; it said: a | b\nc"},
		{Client: "wput"},
		{Client: bareName, Runs: runs(0, 0.5, 0.25), Bare: true},
	}}
	failed := cell{Work: "N10k", Server: "vsftpd", Secured: true, Connections: 4, Files: 10, Bytes: 3 << 30, Unchanged: true, Rows: []row{
		{Client: ours, Failed: "run to warm up: not done"},
		{Client: "lftp", Runs: runs(1, 0.7)},
	}}
	fast := cell{Work: "D1k", Server: "vsftpd", Connections: 4, Files: 10, Bytes: 3 << 20, Rows: []row{{Client: ours, Runs: runs(1, 1)}}}
	return report{
		When: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "ferrybench -work U1k", Machine: []string{"2 x processor"},
		Versions: []string{"lftp: 4.9.2"}, Load: [2]string{"0.1", "0.2"}, Runs: 3, WarmUp: 1, Cells: []cell{plain, failed, fast},
		LeftOut: []string{"ncftp: not found"},
	}
}

func TestReportAsMarkdown(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	if err := sampleReport().write(&got, false); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "report.md")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), got.String()); difference != "" {
		t.Errorf("-want +got (go test -update writes it):\n%s", difference)
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	if err := sampleReport().write(&text, true); err != nil {
		t.Fatal(err)
	}
	var back report
	decoder := json.NewDecoder(&text)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&back); err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(sampleReport(), back, cmp.AllowUnexported(run{}, cell{}, row{})); difference != "" {
		t.Errorf("what was written is not what was read: %s", difference)
	}
}

// TestRender: what was written as JSON gives the same tables later.
func TestRender(t *testing.T) {
	t.Parallel()
	var text, want, got, stderr bytes.Buffer
	for _, as := range []struct {
		to   *bytes.Buffer
		json bool
	}{{&text, true}, {&want, false}} {
		if err := sampleReport().write(as.to, as.json); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := program(t.Context(), []string{"-render", file}, &got, &stderr); code != control.ExitDone || got.String() != want.String() {
		t.Errorf("code %d, %s: %s", code, &stderr, cmp.Diff(want.String(), got.String()))
	}
	if code := program(t.Context(), []string{"-render", file + ".other"}, &got, &stderr); code != control.ExitUsage || !strings.Contains(stderr.String(), "-render: open ") {
		t.Errorf("a file that is not there: code %d, %s", code, &stderr)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		values []float64
		want   float64
	}{
		"of nothing":     {nil, 0},
		"of one":         {[]float64{3}, 3},
		"of three":       {[]float64{9, 1, 2}, 2},
		"between two":    {[]float64{4, 1}, 2.5},
		"of four, mixed": {[]float64{100, 1, 3, 2}, 2.5},
	} {
		if got := median(row.values); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
}

// TestWhoIsCompared: neither a copy without FTP nor a failure is a peer, and nothing is compared with what is not there.
func TestWhoIsCompared(t *testing.T) {
	t.Parallel()
	c := sampleReport().Cells[0]
	if peer := c.bestPeer(); peer == nil || peer.Client != "lftp" {
		t.Errorf("the best peer is %+v", peer)
	}
	c.Rows[1].Failed = "wrong"
	if peer := c.bestPeer(); peer == nil || peer.Client != "curl" {
		t.Errorf("after a failure of lftp the best peer is %+v", peer)
	}
	if got := ratio(c.find(ours), c.find("rclone")); got != nothing {
		t.Errorf("against one that failed: %s", got)
	}
	if got := ratio(c.find(ours), c.bare()); got != "133" {
		t.Errorf("against the bare copy: %s", got)
	}
}

func TestVersionIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"220 (vsFTPd 3.0.3)\r\n":             "3.0.3",
		"220 pyftpdlib 1.5.7 ready.":         "1.5.7",
		"ProFTPD 1.3.8 (stable) (built ...)": "1.3.8",
		"220 Welcome":                        "it does not tell its version",
	} {
		name := "pyftpdlib"
		for _, known := range []string{"vsftpd", "proftpd"} {
			if strings.Contains(strings.ToLower(text), known) {
				name = known
			}
		}
		if got := versionIn(name, text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
