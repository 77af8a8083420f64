package ftpclient_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// TestOddNamesAreTriedOnce shows what the servers make of odd names, and that nothing stays behind of finding out.
func TestOddNamesAreTriedOnce(t *testing.T) {
	changes := map[string]string{"pure-ftpd": "ends with a blank, has a control character", "pyftpdlib": "is not valid UTF-8"}
	onRealServers(t, func(t *testing.T, p *place) {
		for name, what := range map[string]string{
			"plain": "", " lead": "begins with a blank", "trail ": "ends with a blank", "dot.": "ends with a dot",
			"gr\xfcn": "is not valid UTF-8", "bell\a": "has a control character",
		} {
			keeps := what == "" || !strings.Contains(changes[p.server.Name], what)
			err := p.conn.KeepsName(t.Context(), p.folder, name)
			if errors.Is(err, ftpclient.ErrNameChanged) == keeps || (err == nil) != keeps {
				t.Errorf("%q: %v; kept should be %v", name, err, keeps)
			}
			if known := p.conn.Facts().ChangesName(name); known != map[bool]string{false: what}[keeps] {
				t.Errorf("%q: changed because it %q", name, known)
			}
		}
		if entries, err := os.ReadDir(p.disk); err != nil || len(entries) > 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
		facts := p.conn.Facts()
		both := p.conn.KeepsName(t.Context(), "/no/such/folder", " both ")
		if errors.Is(both, ftpclient.ErrNameChanged) != (p.server.Name == "pure-ftpd") || p.conn.Facts() != facts {
			t.Errorf("what is known is not tried again: %v, %s", both, p.conn.Facts().OddNames)
		}
	})
}

func TestOddNamesWhereNoFolderCanBeMade(t *testing.T) {
	script := open("", talk("MKD /in/ftpferry-*", "550 Permission denied.", "CWD /in/ftpferry-*", "550 No such directory.",
		"MKD /in", "550 File exists.", "MKD /in/ftpferry-*", "550 Permission denied.", "CWD /in/ftpferry-*", "550 No such directory.", "QUIT", "221 bye"))
	conn, _ := connect(t, script)
	if err := conn.KeepsName(t.Context(), "/in", "trail "); err != nil || conn.Facts().OddNames != "" {
		t.Errorf("%v, learned %q", err, conn.Facts().OddNames)
	}
}

func TestIsProbe(t *testing.T) {
	for name, want := range map[string]bool{
		"ftpferry-probe-0123abcd": true, "ftpferry-probe-0123abcd.": true, " ftpferry-probe-0123abcd": true, "_ftpferry-probe-0123abcd": true,
		"ftpferry-probe-0123abcd\xff": true, "ftpferry-probe-0123abcd%FF": true, "ftpferry-probe-0123abcd\x01x": true,
		"ftpferry-probe-": false, "ftpferry-probe-notes.txt": false, "our ftpferry-probe-0123abcd": false, "ftpferry-probe-0123abcd, a story": false, "": false,
	} {
		if got := ftpclient.IsProbe(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
