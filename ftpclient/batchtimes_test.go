package ftpclient_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// vsftpd is the beginning of a session with one that lists these features.
func vsftpd(features string) steps {
	return steps{{Send: "220 (vsFTPd 3.0.3)"}}.then(talk("USER ferry", "331 password?", "PASS secret", "230 in",
		"FEAT", "211-Features:\n "+strings.ReplaceAll(features, ",", "\n ")+"\n211 End", "OPTS UTF8 ON", "200 ok")...)
}

// TestWhereTimesAreTriedInABatch: where one command most likely sets them, and what came of it can be seen.
func TestWhereTimesAreTriedInABatch(t *testing.T) {
	t.Parallel()
	rest := talk("PWD", `257 "/"`, "TYPE I", "200 ok", "QUIT", "221 bye")
	for name, test := range map[string]struct {
		script steps
		tried  bool
	}{
		"MFMT is listed":                       {session("MFMT,MDTM", nil), true},
		"MFMT is listed, and no time is told":  {session("MFMT,SIZE", nil), false},
		"vsftpd, which takes MDTM for it":      {vsftpd("MDTM,SIZE").then(rest...), true},
		"vsftpd that tells no times":           {vsftpd("SIZE,TVFS").then(rest...), false},
		"a server that may not take MDTM so":   {session("MDTM,SIZE", nil), false},
		"a server that lists nothing that may": {session("", nil), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, test.script, func(o *ftpclient.Options) { o.Facts.LoginAtOnce = "broke" })
			if got := conn.SetsTimesInBatches(); got != test.tried {
				t.Errorf("tried in a batch: %v", got)
			}
		})
	}
}

// TestAZoneThatIsKnownIsNotAskedFor with the first time that vsftpd is to set.
func TestAZoneThatIsKnownIsNotAskedFor(t *testing.T) {
	t.Parallel()
	script := vsftpd("MDTM,SIZE").then(talk("PWD", `257 "/"`, "TYPE I", "200 ok")...).
		then(group("MDTM 20240203040506 /a", "213 ok", "MDTM /a", "213 20240203050506", "RNFR /a", "350 on", "RNTO /b", "250 done")...).
		then(talk("QUIT", "221 bye")...)
	conn, _ := connect(t, script, knownServer, func(o *ftpclient.Options) {
		o.Facts.LoginAtOnce = "broke"
		o.Facts.MDTMZone = ftpclient.MDTMZone{Offset: 3600, Known: true}
	})
	batch := conn.NewBatch()
	set, renamed := batch.SetModTime("/a", time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)), batch.Rename("/a", "/b")
	if err := batch.Do(t.Context()); err != nil || set.Err != nil || renamed.Err != nil {
		t.Error(err, set.Err, renamed.Err)
	}
	if got := conn.Facts().TimeSetter; got != "MDTM" {
		t.Errorf("learned %q", got)
	}
}
