package ftpclient_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(natClientVariable) != "" {
		beNATClient()
		return
	}
	flag.Parse()
	waitTogether()
	goleak.VerifyTestMain(m)
}

// waitTogether lets more tests run at a time than there are processors, unless the command line says how many: most of
// them wait for servers.
func waitTogether() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "8")
	}
}
