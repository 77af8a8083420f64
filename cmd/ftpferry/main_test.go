package main

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	ftptest.WaitTogether()
	testscript.Main(m, map[string]func(){"ftpferry": main})
}

func TestMemoryIsBoundUnlessAPersonHasDoneThat(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	boundMemory(func(string) string { return "1GiB" })
	if limit := debug.SetMemoryLimit(-1); limit != before {
		t.Errorf("the limit is %d, and a person has set it to %d", limit, before)
	}
	boundMemory(func(string) string { return "" })
	if limit := debug.SetMemoryLimit(-1); limit != softMemory {
		t.Errorf("the limit is %d", limit)
	}
}
