package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestBench runs the whole thing once, with the program itself and with curl if that is here.
func TestBench(t *testing.T) {
	for _, need := range []string{"proftpd", "namespaces", "go"} {
		ftptest.Need(t, need)
	}
	needLine(t)
	leaksBesidePipes(t)
	folder := t.TempDir()
	var stdout, stderr bytes.Buffer
	code := program(t.Context(), []string{"-dir", folder, "-work", "U5,N200", "-rtt", "2", "-peers", "curl", "-runs", "1", "-warm-up", "0", "-timeout", "5m", "-json"}, &stdout, &stderr)
	if code != control.ExitDone {
		t.Fatalf("code %d: %s", code, &stderr)
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Cells) != 2 || r.Cells[0].Files != 5 || r.Cells[0].RTT != 2 {
		t.Fatalf("%+v", r.Cells)
	}
	if rows := r.Cells[1].Rows; len(rows) != 1 || len(rows[0].Runs) != 1 || rows[0].Runs[0].Data > 20 {
		t.Errorf("nothing has changed: %+v, want ours, and no transfers", rows)
	}
	for _, row := range r.Cells[0].Rows {
		if row.Failed != "" || len(row.Runs) != 1 {
			t.Errorf("%s: %+v", row.Client, row)
			continue
		}
		got := row.Runs[0]
		if got.Wall <= 0 {
			t.Errorf("%s took no time", row.Client)
		}
		if !row.Bare && (got.Turns < 5 || got.Data < 5 || got.Logins < 1 || got.CPU <= 0) {
			t.Errorf("%s: %+v", row.Client, got)
		}
		if row.Client == ours && got.TimesKept != 5 {
			t.Errorf("ours has kept %d times of 5", got.TimesKept)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

// TestBenchFails: what does nothing does not count as fast, and what is interrupted leaves nothing.
func TestBenchFails(t *testing.T) {
	for _, need := range []string{"pyftpdlib", "true", "sleep"} {
		ftptest.Need(t, need)
	}
	needLine(t)
	leaksBesidePipes(t)
	folder, programs := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"idle": "exit 0", "endless": "case $* in *version) exit;; esac\n: >" + programs + "/begun; exec sleep 1000"} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	run := func(ctx context.Context, binary string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := program(ctx, []string{"-dir", folder, "-state", folder, "-binary", filepath.Join(programs, binary), "-servers", "pyftpdlib", "-work", "U5", "-peers", "none", "-runs", "1", "-warm-up", "0"}, &stdout, &stderr)
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("%s: left: %v %v", binary, left, err)
		}
		return code, stdout.String() + stderr.String()
	}
	code, said := run(t.Context(), "idle")
	if code != control.ExitNeedsPerson || !strings.Contains(said, "| ftpferry | FAILED: run 1 of 1: open ") {
		t.Errorf("code %d: %s", code, said)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for ; ; time.Sleep(5 * time.Millisecond) { // until it is in the middle
			if _, err := os.Stat(filepath.Join(programs, "begun")); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
		}
	}()
	if code, said := run(ctx, "endless"); code != control.ExitNeedsPerson || !strings.Contains(said, "context canceled") {
		t.Errorf("interrupted: code %d: %s", code, said)
	}
	cancel()
	<-stop
}
