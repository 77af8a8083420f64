package ftpclient_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestMain(m *testing.M) {
	if os.Getenv(natClientVariable) != "" {
		beNATClient()
		return
	}
	ftptest.WaitTogether()
	goleak.VerifyTestMain(m)
}
