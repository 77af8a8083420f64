package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// TestHeldFilesAreNotInStep, although nobody needs to do anything about them.
func TestHeldFilesAreNotInStep(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out}
	p.printReport(control.SyncReport{Sync: "web", Held: []control.PathReason{{Path: "a", Reason: "waiting for a.done"}}}, &account{to: &out})
	if want := "web: waiting; nothing done\n  held: a: waiting for a.done\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// TestAnAccountIsToldOnce: all jobs of a server without data channels fail for the reason of the server.
func TestAnAccountIsToldOnce(t *testing.T) {
	const reason = "no data channel\n  passive EPSV   no answer"
	var out bytes.Buffer
	p := &program{stdout: &out}
	p.printReport(control.SyncReport{Sync: "web", Unavailable: reason + "\n  for a closer look: ftpferry doctor acme", Unfinished: 2, Waiting: []control.PathReason{
		{Path: "a", Reason: "store a: " + reason}, {Path: "b", Reason: "store b: " + reason},
	}, Dead: []control.PathReason{{Path: "c", Reason: "list c\n  another reason"}}}, &account{to: &out})
	text := out.String()
	if strings.Count(text, "no answer") != 1 || strings.Count(text, "for a closer look") != 1 || !strings.Contains(text, "another reason") {
		t.Error(text)
	}
}

// TestWhatWasThereAlreadyIsNoTransfer: nothing was sent, and the report does not count it.
func TestWhatWasThereAlreadyIsNoTransfer(t *testing.T) {
	var out bytes.Buffer
	o := &onceProgress{cfg: &config.Config{}, lines: &out, more: make(chan struct{}, 1)}
	for _, e := range []control.Event{
		{Kind: "done", Sync: "web", Action: "upload", Path: "empty", Data: "EPSV"},
		{Kind: "done", Sync: "web", Action: "upload", Path: "sent before", Already: true},
	} {
		if err := o.tell(e); err != nil {
			t.Fatal(err)
		}
	}
	if want := "web: upload empty: 0 B in 0s\n"; out.String() != want || o.seen.Load() != 1 {
		t.Errorf("got %q, counted %d, want %q", out.String(), o.seen.Load(), want)
	}
}
