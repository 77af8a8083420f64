package main

import (
	"bytes"
	"strings"
	"testing"

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
