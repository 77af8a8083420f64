package main

import (
	"os"
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
