package manual

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAListingThatNobodyCanRead is told in full, and takes nobody out of the folder.
func TestAListingThatNobodyCanRead(t *testing.T) {
	t.Parallel()
	line := func(name string) string { return "-rw-r--r--   1 ferry ferry  5 Jan 02  2024 " + name + "\r\n" }
	script := ftptest.NewScript(t,
		ftptest.Step{Send: "220 Hello."}, ftptest.Step{Expect: "USER u", Send: "230 Come in."}, ftptest.Step{Expect: "FEAT", Send: "211-Features\n MFMT\n211 End"},
		ftptest.Step{Expect: "SYST", Send: "215 UNIX Type: L8"}, ftptest.Step{Expect: "PWD", Send: `257 "/"`}, ftptest.Step{Expect: "TYPE I", Send: "200 Binary."},
		ftptest.Step{Expect: "CWD /d", Send: "250 ok"}, ftptest.Step{Expect: "EPSV", Passive: true},
		ftptest.Step{Expect: "LIST", Send: "150 here it comes", Data: &ftptest.Data{
			Send: line("b") + line("../up") + "what is this\r\n" + line("a\x1b[2J"), End: ftptest.Close,
		}},
		ftptest.Step{Send: "226 done"}, ftptest.Step{Expect: "QUIT", Send: "221 Bye."})
	o := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Data: ftpclient.DataOptions{Policy: ftpclient.DataPassiveOnly}}
	pool := ftpclient.NewAddresses([]string{script.Addr}, o, map[string]ftpclient.Facts{script.Addr: {ListAll: "no"}}, ftpclient.PoolOptions{})
	s := &Server{Name: "odd", Pool: pool, Connections: 1, Logger: slog.New(slog.DiscardHandler)}
	var found Folder
	if err := s.List(t.Context(), "/d", true, func(f Folder) error {
		found = f
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	script.Wait()
	if len(found.Items) != 2 || found.Items[0].Path != "/d/a\x1b[2J" || found.Items[1].Path != "/d/b" || !found.Items[1].ZoneUnknown {
		t.Errorf("%+v", found.Items)
	}
	if len(found.Unparsed) != 2 || !strings.Contains(found.Incomplete, "cannot be read") {
		t.Errorf("%q: %q", found.Incomplete, found.Unparsed)
	}
}
