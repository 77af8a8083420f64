package ftpclient_test

import (
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestPoolReadsNamesInOneWay: what the first evidence says holds for all connections.
func TestPoolReadsNamesInOneWay(t *testing.T) {
	session := func(home string, more ...string) steps {
		login := talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "500 what?", "SYST", "215 UNIX", "PWD", `257 "`+home+`"`, "TYPE I", "200 binary")
		return steps{{Send: "220 ready"}}.then(login...).then(talk(more...)...).then(talk("QUIT", "221 bye")...)
	}
	scripts := []steps{session("/"), session("/", "MKD /ü", "257 made"), session("/\xfc")}
	inPool(t, ftpclient.PoolOptions{Max: 3}, ftpclient.Facts{}, scripts, func(t *testing.T, h *host, p *ftpclient.Pool) {
		blank, contrary, first := mustTake(t, p), mustTake(t, p), mustTake(t, p)
		if err := contrary.MakeDir(t.Context(), "/ü"); err != nil || contrary.Facts().Encoding != "utf-8" {
			t.Fatalf("%v, %+v", err, contrary.Facts())
		}
		for _, conn := range []*ftpclient.Conn{first, blank, contrary} {
			p.Put(conn)
		}
		if got := p.Facts().Encoding; got != "latin1" {
			t.Errorf("the pool has learned %q", got)
		}
		for range 2 {
			if conn := mustTake(t, p); conn == contrary || conn.Facts().Encoding != "latin1" {
				t.Errorf("lent one that reads names in %q", conn.Facts().Encoding)
			} else {
				defer p.Put(conn)
			}
		}
	})
}
