package manual

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestMain(m *testing.M) {
	ftptest.WaitTogether()
	goleak.VerifyTestMain(m)
}
