package work

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

// over is an upload to where a file of three bytes is.
func over(local plan.Side) plan.Op {
	op := upload7(local)
	op.Remote.Entry = entry.Entry{Kind: entry.File, Size: 3, ModTime: stamped, Precision: time.Second}
	return op
}

func TestWhatARenameDoesToAFileIsLearnedAndUsed(t *testing.T) {
	const hidden, final = "/site/" + temp, "/site/a.txt"
	sent := slices.Concat(has(final, 3), stores(hidden, "hello"), sized(hidden, 5), setsTime(hidden))
	refused := func(reply string) []step {
		return []step{{Expect: "RNFR " + hidden, Send: "350 And?"}, {Expect: "RNTO " + final, Send: reply}}
	}
	deletes := slices.Concat(has(final, 3), []step{{Expect: "DELE " + final, Send: "250 Gone."}})
	for _, row := range []struct {
		name        string
		known, then string
		want        Result
		steps       []step
	}{
		{"the file is replaced", "", ftpclient.RenameReplaces, Done, slices.Concat(sent, renames(hidden, final), has(final, 5))},
		{"the file is in the way", "", ftpclient.RenameRefuses, Done,
			slices.Concat(sent, refused("550 Rename failed."), deletes, renames(hidden, final), has(final, 5))},
		{"a server that was seen to refuse it is asked all the same: it may not do so any more", ftpclient.RenameRefuses, ftpclient.RenameReplaces, Done,
			slices.Concat(sent, renames(hidden, final), has(final, 5))},
		{"a server that was seen to replace files has another reason, and the file stays", ftpclient.RenameReplaces, ftpclient.RenameReplaces, Failed,
			slices.Concat(sent, refused("550 Permission denied."), []step{{Expect: "DELE " + hidden, Send: "250 Gone."}})},
		{"without a reason it is no longer believed to replace files", ftpclient.RenameReplaces, "", Failed,
			slices.Concat(sent, refused("550 Rename failed."), []step{{Expect: "DELE " + hidden, Send: "250 Gone."}})},
		{"unless it says that the file is the reason", ftpclient.RenameReplaces, ftpclient.RenameRefuses, Done,
			slices.Concat(sent, refused("550 Cannot create a file when that file already exists."), deletes, renames(hidden, final), has(final, 5))},
		{"deleting it does not help", "", "", Failed,
			slices.Concat(sent, refused("550 Rename failed."), deletes, refused("550 Rename failed."))},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, local := source(t, "hello")
			options := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Facts: ftpclient.Facts{RenameOver: row.known}}
			o, facts := doWith(t, options, dir, []plan.Op{over(local)}, 1, nil, slices.Concat(login, row.steps, []step{{Expect: "QUIT", Send: "221 Bye."}})...)
			if o.Result != row.want || facts.RenameOver != row.then {
				t.Errorf("outcome %v (%v), learned %q", o.Result, o.Err, facts.RenameOver)
			}
		})
	}
	t.Run("a new file teaches nothing", func(t *testing.T) {
		dir, local := source(t, "hello")
		_, facts := doWith(t, ftpclient.Options{User: "u", TLS: ftpclient.TLSNone}, dir, []plan.Op{upload7(local)}, 1, nil, slices.Concat(login, absent(final),
			stores(hidden, "hello"), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5), []step{{Expect: "QUIT", Send: "221 Bye."}})...)
		if facts.RenameOver != "" {
			t.Errorf("learned %q", facts.RenameOver)
		}
	})
}

// TestAnExpiredTicketCostsAConnectionAndNotTheJob: a second connection gets a new TLS session. If
// that is not resumed either, the set-up is at fault.
func TestAnExpiredTicketCostsAConnectionAndNotTheJob(t *testing.T) {
	const hidden, final = "/site/" + temp, "/site/a.txt"
	const nextHidden, nextFinal = "/site/.b.txt.ftpferry-0badcafe-8.1", "/site/b.txt"
	certificate, _, _, _, _ := ftptest.NewCertificate(t)
	// The server is restarted in between: it has other keys for tickets.
	valid := &ftptest.TLS{Config: &tls.Config{Certificates: []tls.Certificate{certificate}}, MustResume: true}
	restarted := &ftptest.TLS{Config: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	secureLogin := slices.Concat([]step{{Send: "220 Hello."}, {Expect: "AUTH TLS", Send: "234 Go on.", TLS: &ftptest.TLS{Config: valid.Config}},
		{Expect: "USER u", Send: "230 Come in."}}, login[2:4], []step{{Expect: "PBSZ 0", Send: "200 Okay."}, {Expect: "PROT P", Send: "200 Okay."}}, login[4:])
	sends := func(temp, final string, setsTime []step) []step {
		transfer := stores(temp, "hello")
		transfer[1].Data.TLS = valid
		return slices.Concat(absent(final), transfer, sized(temp, 5), setsTime, renames(temp, final), has(final, 5))
	}
	refuses := slices.Concat(absent(nextFinal), []step{
		{Expect: "EPSV", Passive: true},
		{Expect: "STOR " + nextHidden, Send: "150 Go on.", Data: &ftptest.Data{TLS: restarted, End: ftptest.Close}},
		{Send: "425 TLS session of data connection not resumed.", End: ftptest.Close},
	})
	for _, row := range []struct {
		name   string
		want   Result
		class  ftpclient.Class
		second []step
	}{
		{"the new session is resumed", Done, ftpclient.ClassNone, slices.Concat(sends(nextHidden, nextFinal, setsTime(nextHidden)[:1]), []step{{Expect: "QUIT", Send: "221 Bye."}})},
		{"the new session is not resumed", Failed, ftpclient.ClassSetup, refuses},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, first := source(t, "hello")
			if err := os.Link(filepath.Join(dir, "a.txt"), filepath.Join(dir, "b.txt")); err != nil {
				t.Fatal(err)
			}
			second := upload7(first)
			second.Path = "b.txt"
			options := ftpclient.Options{User: "u", TLSConfig: &tls.Config{InsecureSkipVerify: true}}
			o, _ := doWith(t, options, dir, []plan.Op{upload7(first), second}, 1, nil,
				slices.Concat(secureLogin, sends(hidden, final, setsTime(hidden)), refuses, secureLogin, row.second)...)
			if class := ftpclient.Classify(o.Err); o.Result != row.want || class != row.class {
				t.Errorf("outcome %v (%v), classified %s", o.Result, o.Err, class)
			}
		})
	}
}
