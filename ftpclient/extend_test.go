package ftpclient_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestExtend adds to a file that others read: whatever the server does, the first bytes of it stay.
func TestExtend(t *testing.T) {
	size := func(n string) steps { return talk("SIZE /f", "213 "+n) }
	sends := func(verb string) steps {
		return steps{{Expect: verb + " /f", Send: "150 go", Data: &ftptest.Data{Receive: ftptest.All, Want: "456789", End: ftptest.Close}}, {Send: "226 done"}}
	}
	appending := size("4").then(passive).then(sends("APPE")...)
	seam := download("RETR /f", "0123456789", "226 done")
	works := func(restart, appending string) func(*ftpclient.Options) {
		return func(o *ftpclient.Options) { o.Facts.StoreRestart, o.Facts.Appending = restart, appending }
	}
	tests := []struct {
		name   string
		change func(*ftpclient.Options)
		script steps
		start  outcome
		finish outcome
		facts  string
	}{
		{name: "the first time is looked at", script: appending.then(size("10")...).then(seam...), facts: " works"},
		{name: "later ones are not", change: works("", "works"), script: appending.then(size("10")...), facts: " works"},
		{name: "another size before: nothing is sent", script: size("5"), start: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}, facts: " "},
		{name: "another size behind", script: appending.then(size("6")...),
			finish: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}, facts: " broken"},
		{name: "other bytes where they meet", script: appending.then(size("10")...).then(download("RETR /f", "4567890123", "226 done")...),
			finish: outcome{is: ftpclient.ErrMismatch, class: ftpclient.ClassRetry}, facts: " broken"},
		{name: "APPE is forbidden, and nobody has seen REST and STOR", script: size("4").then(passive).then(talk("APPE /f", "451 /f: Append/Restart not permitted, try again")...),
			start: outcome{is: ftpclient.ErrNoAppend, class: ftpclient.ClassPermanent}, facts: " refused"},
		{name: "APPE is broken, REST and STOR work", change: works("works", "broken"),
			script: size("4").then(passive).then(talk("REST 4", "350 ok")...).then(sends("STOR")...).then(size("10")...), facts: "works broken"},
		{name: "both are known not to work", change: works("broken", "refused"), script: size("4"),
			start: outcome{is: ftpclient.ErrNoAppend, class: ftpclient.ClassPermanent}, facts: "broken refused"},
		{name: "the server is busy", script: size("4").then(passive).then(talk("APPE /f", "452 no space left on device")...),
			start: outcome{code: 452, class: ftpclient.ClassLater}, facts: " "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var changes []func(*ftpclient.Options)
			if test.change != nil {
				changes = append(changes, test.change)
			}
			conn, _ := connect(t, session("", test.script), changes...)
			source := bytes.NewReader([]byte("0123456789"))
			transfer, err := conn.Extend(t.Context(), "/f", source, 4, 10)
			test.start.check(t, err)
			if err == nil {
				io.Copy(transfer, io.NewSectionReader(source, 4, 6))
				_, err = transfer.Finish(t.Context())
				test.finish.check(t, err)
			}
			if got := conn.Facts().StoreRestart + " " + conn.Facts().Appending; got != test.facts {
				t.Errorf("learned %q, want %q", got, test.facts)
			}
		})
	}
}
