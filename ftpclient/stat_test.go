package ftpclient_test

import (
	stdcmp "cmp"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

func TestStat(t *testing.T) {
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	file := list.Entry{Name: "f", Type: list.File, Size: 5, ModTime: at, Precision: time.Second}
	folder := list.Entry{Name: "f", Type: list.Dir, Size: -1}
	listedFile := list.Entry{Name: "f", Type: list.File, Size: 5, ModTime: at.Truncate(24 * time.Hour), Precision: list.Day, Mode: 0o644, HasMode: true}
	rename := func(e list.Entry, name string) list.Entry {
		e.Name = name
		return e
	}
	refused := talk("SIZE /d/f", "550 no", "CWD /d/f", "550 no")
	parent := func(lines ...string) steps {
		return talk("CWD /d", "250 ok").then(sent("LIST", lines...)...)
	}
	absent := outcome{is: fs.ErrNotExist, code: 550, class: ftpclient.ClassPermanent}
	tests := []struct {
		name     string
		features string
		path     string // /d/f if ""
		script   steps
		entry    list.Entry
		want     outcome

		insensitive bool
	}{
		{name: "MLST tells all at once", features: "MLST",
			script: talk("MLST /d/f", "250-Listing\n type=file;size=5;modify=20240102030405; /d/f\n250 End"), entry: file},
		{name: "MLST that says that nothing is there is believed", features: "MLST",
			script: talk("MLST /d/f", "550 /d/f: No such file or directory"), want: absent},
		{name: "MLST that says no is not", features: "MLST",
			script: talk("MLST /d/f", "550 no", "SIZE /d/f", "213 5", "MDTM /d/f", "213 20240102030405"), entry: file},
		{name: "MLST that nobody can read is not", features: "MLST",
			script: talk("MLST /d/f", "250 fine", "SIZE /d/f", "213 5", "MDTM /d/f", "213 20240102030405"), entry: file},
		{name: "MLST that says no says nothing else", features: "MLST", script: talk("MLST /d/f", "550-No\n type=file;size=1; /d/f\n550 End", "SIZE /d/f", "213 5", "MDTM /d/f", "213 20240102030405"), entry: file},
		{name: "SIZE and MDTM tell a file", script: talk("SIZE /d/f", "213 5", "MDTM /d/f", "213 20240102030405.5"), entry: file},
		{name: "MDTM may be missing", script: talk("SIZE /d/f", "213 5", "MDTM /d/f", "500 what?"),
			entry: list.Entry{Name: "f", Type: list.File, Size: 5}},
		{name: "CWD tells a folder", script: talk("SIZE /d/f", "550 no", "CWD /d/f", "250 ok"), entry: folder},
		{name: "CWD that says that nothing is there is believed",
			script: talk("SIZE /d/f", "550 no", "CWD /d/f", "550 /d/f: No such file or directory"), want: absent},
		{name: "the listing of the parent tells the rest", script: refused.then(parent(unixLine("e"), unixLine("f"))...), entry: listedFile},
		{name: "what the listing of the parent does not show is absent", script: refused.then(parent(unixLine("e"))...), want: absent},
		{name: "what an incomplete listing does not show may be there", script: refused.then(parent(unixLine("e"), "garbage\r\n")...),
			want: outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}},
		{name: "what an incomplete listing shows is there", script: refused.then(parent(unixLine("f"), "garbage\r\n")...), entry: listedFile},
		{name: "nothing is in an absent folder",
			script: refused.then(talk("CWD /d", "550 no", "SIZE /d", "550 no", "CWD /d", "550 no", "CWD /", "250 ok")...).then(sent("LIST")...),
			want:   absent},
		{name: "nothing is below a file",
			script: refused.then(talk("CWD /d", "550 no", "SIZE /d", "213 1", "MDTM /d", "550 no", "CWD /", "250 ok")...).then(sent("LIST", unixLine("d"))...), want: absent},
		{name: "a size may be that of a folder", script: refused.then(talk("CWD /d", "550 no", "SIZE /d", "213 4096", "MDTM /d", "550 no", "CWD /", "250 ok")...).
			then(sent("LIST", "drwx------   1 root root  5 Jan 02  2024 d\r\n")...), want: outcome{code: 550, class: ftpclient.ClassPermanent}},
		{name: "a name that is taken for another by a listing in the end", path: "/d/ü", script: talk("SIZE /d/ü", "550 no", "CWD /d/ü", "550 No such file").
			then(parent(unixLine("\xfc"))...), entry: rename(listedFile, "ü")},
		{name: "a name whose bytes are not known is not asked for", features: "MLST", path: "/d/ü", script: talk("MLST /d/ü", "550 No such file",
			"SIZE /d/ü", "550 No such file", "CWD /d/ü", "550 No such file", "CWD /d", "250 ok").then(sent("MLSD", mlsdLine("\xfc"))...), entry: rename(file, "ü")},
		{name: "bytes that are no text are asked for as they are", features: "MLST", path: "/d/\xfc", script: talk("MLST /d/\xfc", "550 No such file"), want: absent},
		{name: "a listing may leave out hidden names", path: "/d/.f", script: talk("SIZE /d/.f", "550 no", "CWD /d/.f", "550 no").then(parent(unixLine("f"))...),
			want: outcome{is: ftpclient.ErrIncomplete, class: ftpclient.ClassRetry}},
		{name: "a listing that shows the folder itself shows hidden names", path: "/d/.f", script: talk("SIZE /d/.f", "550 no", "CWD /d/.f", "550 no").
			then(parent("drwx------   1 root root  5 Jan 02  2024 .\r\ndrwx------   1 root root  5 Jan 02  2024 ..\r\n", unixLine("f"))...), want: absent},
		{name: "only ls hides names", path: "/d/.f", script: talk("SIZE /d/.f", "550 no", "CWD /d/.f", "550 no").
			then(parent("01-02-24  03:04AM  5 a\r\n")...), want: absent},
		{name: "capitals count", path: "/d/F", script: talk("SIZE /d/F", "502 what?").then(parent(unixLine("f"))...).
			then(talk("CWD /d/F", "550 no")...).then(parent(unixLine("f"))...), want: absent},
		{name: "capitals count only where they do", path: "/d/F", insensitive: true, script: talk("SIZE /d/F", "502 what?").then(parent(unixLine("f"))...), entry: listedFile},
		{name: "a parent without rights proves nothing",
			script: refused.then(talk("CWD /d", "550 Permission denied", "SIZE /d", "550 no", "CWD /d", "550 no", "CWD /", "250 ok")...).
				then(sent("LIST", "drwx------   1 root root  5 Jan 02  2024 d\r\n")...),
			want: outcome{is: fs.ErrPermission, code: 550, class: ftpclient.ClassPermanent}},
		{name: "without SIZE, the listing of the parent tells all",
			script: talk("SIZE /d/f", "502 what?").then(parent(unixLine("f"))...), entry: listedFile},
		{name: "a size that is none is an error", script: talk("SIZE /d/f", "213 many"),
			want: outcome{is: ftpclient.ErrProtocol, class: ftpclient.ClassConnection}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, test.script), func(o *ftpclient.Options) {
				o.Facts.ListAll = "no"
				if test.insensitive {
					o.Facts.CaseInsensitive = "yes"
				}
			})
			entry, err := conn.Stat(t.Context(), stdcmp.Or(test.path, "/d/f"))
			test.want.check(t, err)
			if errors.Is(err, fs.ErrNotExist) != (test.want.is == fs.ErrNotExist) {
				t.Errorf("absent: %v", err)
			}
			if diff := cmp.Diff(test.entry, entry); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStatFile(t *testing.T) {
	tests := []struct {
		name   string
		script steps
		found  bool
	}{
		{"a file is found", talk("SIZE /d/f", "213 5", "MDTM /d/f", "213 20240102030405"), true},
		{"a refusal is no error and no proof", talk("SIZE /d/f", "550 Permission denied"), false},
		{"without SIZE a file is found in the listing of its parent",
			talk("SIZE /d/f", "502 what?", "CWD /d", "250 ok").then(sent("LIST", unixLine("f"))...), true},
		{"a folder is no file", talk("SIZE /d/f", "502 what?", "CWD /d", "250 ok").
			then(sent("LIST", "drwxr-xr-x   1 ferry ferry  5 Jan 02  2024 f\r\n")...), false},
		{"without SIZE a file is missed in the listing of its parent",
			talk("SIZE /d/f", "502 what?", "CWD /d", "250 ok").then(sent("LIST")...), false},
		{"MLST may say that nothing is there", talk("MLST /d/f", "550 /d/f: No such file or directory"), false},
		{"MLST that is forbidden says nothing", talk("MLST /d/f", "550 Operation not permitted", "SIZE /d/f", "213 5", "MDTM /d/f", "213 20240102030405"), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			features := ""
			if test.script[0].Expect[:4] == "MLST" {
				features = "MLST"
			}
			conn, _ := connect(t, session(features, test.script), func(o *ftpclient.Options) { o.Facts.ListAll = "no" })
			entry, found, err := conn.StatFile(t.Context(), "/d/f")
			if err != nil || found != test.found || found && (entry.Name != "f" || entry.Size != 5) {
				t.Errorf("%+v, %v, %v", entry, found, err)
			}
		})
	}
}

func TestSetModTime(t *testing.T) {
	at := time.Date(2024, 1, 2, 3, 4, 5, 678, time.UTC)
	const mfmt, mdtm = "MFMT 20240102030405 /f", "MDTM 20240102030405 /f"
	unsupported := outcome{is: ftpclient.ErrUnsupported, class: ftpclient.ClassPermanent}
	tests := []struct {
		name     string
		features string
		script   steps
		want     []outcome // one for each call
		learned  string
		offset   int // of MDTM, in seconds
	}{
		{name: "MFMT is checked once", features: "MFMT", learned: "MFMT",
			script: talk(mfmt, "213 ok", "MDTM /f", "213 20240102030405", mfmt, "213 ok"), want: []outcome{{}, {}}},
		{name: "MDTM sets times where MFMT is not listed", learned: "MDTM",
			script: talk(mdtm, "213 ok", "MDTM /f", "213 20240102030405", mdtm, "253 ok"), want: []outcome{{}, {}}},
		{name: "MDTM sets times where MFMT is listed and refused", features: "MFMT", learned: "MDTM",
			script: talk(mfmt, "502 what?", mdtm, "213 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "a server without either is asked once", learned: "none",
			script: talk(mdtm, "550 No such file", "SIZE /f", "213 5", "SITE HELP", "502 what?"), want: []outcome{unsupported, unsupported}},
		{name: "MDTM that answers a question sets nothing", learned: "none",
			script: talk(mdtm, "213 20200101000000", "MDTM /f", "213 20200101000000", "SIZE /f", "213 5", "SITE HELP", "214 CHMOD UMASK"), want: []outcome{unsupported}},
		{name: "MDTM that answers a question teaches no zone", learned: "none",
			script: talk(mdtm, "213 20240102080405", "MDTM /f", "213 20240102080405", "SIZE /f", "213 5", "SITE HELP", "502 no"), want: []outcome{unsupported}},
		{name: "a refusal for a missing file teaches nothing",
			script: talk(mdtm, "550 no", "SIZE /f", "550 no"), want: []outcome{{code: 550, class: ftpclient.ClassPermanent}}},
		{name: "a refusal for one file teaches nothing", features: "MFMT", learned: "MFMT",
			script: talk(mfmt, "550 Permission denied", mdtm, "550 no", mfmt, "213 ok", "MDTM /f", "213 20240102030405"),
			want:   []outcome{unsupported, {}}},
		{name: "what worked before and is refused now is an error", features: "MFMT", learned: "MFMT",
			script: talk(mfmt, "213 ok", "MDTM /f", "213 20240102030405", mfmt, "550 no"),
			want:   []outcome{{}, {code: 550, class: ftpclient.ClassPermanent}}},
		{name: "MFF sets times where it lists them", features: "MFF Create;Modify;,MFMT", learned: "MFF",
			script: talk(mfmt, "500 what?", "MFF Modify=20240102030405; /f", "213 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "MFF that lists no times sets none", features: "MFF UNIX.mode;", learned: "MDTM",
			script: talk(mdtm, "213 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "SITE UTIME with three times", features: "SITE UTIME,SITE CHMOD", learned: "SITE UTIME",
			script: talk("SITE UTIME /f 20240102030405 20240102030405 20240102030405 UTC", "200 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "SITE UTIME with the time first", features: "SITE UTIME", learned: "SITE UTIME 2",
			script: talk("SITE UTIME /f 20240102030405 20240102030405 20240102030405 UTC", "501 what?",
				"SITE UTIME 20240102030405 /f", "200 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "SITE UTIME that only SITE HELP tells", learned: "SITE UTIME",
			script: talk(mdtm, "500 what?", "SIZE /f", "213 5", "SITE HELP", "214-The following\n CHMOD UTIME\n214 end",
				"SITE UTIME /f 20240102030405 20240102030405 20240102030405 UTC", "200 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "a command that works and sets nothing is passed over", features: "MFMT", learned: "MDTM",
			script: talk(mfmt, "213 ok", "MDTM /f", "213 20260102030444", mdtm, "213 ok", "MDTM /f", "213 20240102030405"), want: []outcome{{}}},
		{name: "a file system with even seconds is near enough", features: "MFMT", learned: "MFMT",
			script: talk(mfmt, "213 ok", "MDTM /f", "213 20240102030404"), want: []outcome{{}}},
		{name: "a time that is told in local time is known to be that one", features: "MFMT", learned: "MFMT", offset: -5 * 3600,
			script: talk(mfmt, "213 ok", "MDTM /f", "213 20240101220405"), want: []outcome{{}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, test.script))
			for _, want := range test.want {
				want.check(t, conn.SetModTime(t.Context(), "/f", at))
			}
			if got := conn.Facts().TimeSetter; got != test.learned {
				t.Errorf("learned %q, want %q", got, test.learned)
			}
			if got := conn.Facts().MDTMZone.Offset; got != test.offset {
				t.Errorf("offset %d, want %d", got, test.offset)
			}
		})
	}
}

func TestFolders(t *testing.T) {
	conn, _ := connect(t, session("", talk(
		"MKD /a", "257 made", "MKD /a", "550 no", "CWD /a", "250 ok", "MKD /b", "550 no", "CWD /b", "550 no", "RMD /a", "250 gone",
		"RNFR /x", "350 ok", "RNTO /y", "250 ok", "RNFR /x", "550 no", "RNFR /x", "350 ok", "RNTO /y", "553 no", "DELE /y", "250 ok")))
	ctx := t.Context()
	refused := func(code int) outcome { return outcome{code: code, class: ftpclient.ClassPermanent} }
	outcome{}.check(t, conn.MakeDir(ctx, "/a"))
	outcome{}.check(t, conn.MakeDir(ctx, "/a"))
	refused(550).check(t, conn.MakeDir(ctx, "/b"))
	outcome{}.check(t, conn.RemoveDir(ctx, "/a"))
	outcome{}.check(t, conn.Rename(ctx, "/x", "/y"))
	refused(550).check(t, conn.Rename(ctx, "/x", "/y"))
	refused(553).check(t, conn.Rename(ctx, "/x", "/y"))
	outcome{}.check(t, conn.Remove(ctx, "/y"))
}

func TestSetMode(t *testing.T) {
	unsupported := outcome{is: ftpclient.ErrUnsupported, code: 500, class: ftpclient.ClassPermanent}
	conn, _ := connect(t, session("", talk("SITE CHMOD 640 /f", "200 ok", "SITE CHMOD 4755 /f", "200 ok", "SITE CHMOD 000 /f", "550 no",
		"SITE CHMOD 644 /f", "500 what?")))
	ctx := t.Context()
	outcome{}.check(t, conn.SetMode(ctx, "/f", 0o640))
	outcome{}.check(t, conn.SetMode(ctx, "/f", fs.ModeSetuid|0o755))
	outcome{code: 550, class: ftpclient.ClassPermanent}.check(t, conn.SetMode(ctx, "/f", 0))
	unsupported.check(t, conn.SetMode(ctx, "/f", 0o644))
	unsupported.code = 0 // it is not asked again
	unsupported.check(t, conn.SetMode(ctx, "/f", 0o644))
}

func TestLearnTimeZone(t *testing.T) {
	written := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		name, told string
		offset     int
		known      bool
		want       outcome
	}{
		{"UTC", "213 20240102030407", 0, true, outcome{}},
		{"a clock that is a little off", "213 20240102030107", 0, true, outcome{}},
		{"half an hour east of a full hour", "213 20240102083405", 19800, true, outcome{}},
		{"west", "213 20240101220405", -18000, true, outcome{}},
		{"a clock that is wrong", "213 20240102031205", 0, false, outcome{is: ftpclient.ErrUnsupported, class: ftpclient.ClassPermanent}},
		{"no answer", "550 no", 0, false, outcome{code: 550, class: ftpclient.ClassPermanent}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			script := talk("MDTM /f", test.told)
			if test.known {
				script = script.then(talk("MDTM /f", test.told)...)
			}
			conn, _ := connect(t, session("", script))
			test.want.check(t, conn.LearnTimeZone(t.Context(), "/f", written))
			if facts := conn.Facts(); facts.MDTMZone.Offset != test.offset || facts.MDTMZone.Known != test.known {
				t.Errorf("%+v", facts)
			}
			if !test.known {
				return
			}
			outcome{}.check(t, conn.LearnTimeZone(t.Context(), "/f", written)) // and asks no more
			if got, err := conn.ModTime(t.Context(), "/f"); err != nil || got.Sub(written).Abs() > 5*time.Minute {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

func TestATimeIsSetInTheZoneOfTheServer(t *testing.T) {
	conn, _ := connect(t, session("", talk(
		"MDTM 20240102030405 /f", "213 ok", "MDTM /f", "213 20240102030405", // which is five hours later in UTC
		"MDTM 20240101220405 /f", "213 ok", "MDTM /f", "213 20240101220405",
		"MDTM 20240101220405 /f", "213 ok")),
		func(o *ftpclient.Options) { o.Facts.MDTMZone.Known, o.Facts.MDTMZone.Offset = true, -5*3600 })
	for range 2 {
		outcome{}.check(t, conn.SetModTime(t.Context(), "/f", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)))
	}
	if got := conn.Facts().SetterOffset; got != -5*3600 {
		t.Errorf("offset %d", got)
	}
}

// LIST and MDTM in the same local time look like UTC; what is found out about MDTM is so about LIST, too.
func TestAZoneOfMDTMIsThatOfListings(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Minute)
	local := now.Add(-5 * time.Hour)
	conn, _ := connect(t, session("MDTM", talk("MDTM /f", "213 "+local.Format("20060102150405"), "SIZE /f", "213 5", "MDTM /f", "213 "+local.Format("20060102150405"), "CWD /", "250 ok").
		then(sent("LIST", "-rw-r--r--   1 ferry ferry  5 "+local.Format("Jan 02 15:04")+" f\r\n")...)), func(o *ftpclient.Options) {
		o.Facts.ListAll, o.Facts.ListZone.Month = "no", local.Format("2006-01")
	})
	outcome{}.check(t, conn.LearnTimeZone(t.Context(), "/f", now))
	entry, found, err := conn.StatFile(t.Context(), "/f")
	if err != nil || !found || !entry.ModTime.Equal(now) || entry.Precision != time.Hour+time.Second { // because of summer time
		t.Errorf("%+v, %v", entry, err)
	}
	l, err := conn.List(t.Context(), "/")
	if err != nil || len(l.Entries) != 1 || !l.Entries[0].ModTime.Equal(now) {
		t.Errorf("%+v, %v; want %v", l, err, now)
	}
}

func TestMLSTWithoutASizeIsNotEnough(t *testing.T) {
	conn, _ := connect(t, session("MLST", talk("MLST /f", "250-Here\n type=file; f\n250 End", "SIZE /f", "213 5", "MDTM /f", "213 20240102030405")))
	if entry, found, err := conn.StatFile(t.Context(), "/f"); err != nil || !found || entry.Size != 5 {
		t.Errorf("%+v, %v, %v", entry, found, err)
	}
}

// TestAbsenceIsFoundOutQuickly: each refusal that Pure-FTPd is given to say takes 100 ms longer than the one before.
func TestAbsenceIsFoundOutQuickly(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pure-ftpd", ftptest.RealOptions{})
	conn := dial(t, t.Context(), server.Addr, optionsFor(server, security{}))
	began := time.Now()
	const files = 20
	for i := range files {
		if _, err := conn.Stat(t.Context(), fmt.Sprintf("/gone/%d", i)); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took > files*400*time.Millisecond { // the sum of the waits would be 19 s
		t.Errorf("that %d files are gone took %v", files, took)
	}
}

// TestTheLastReplyIsTheRefusal, and not what makes up for it at Pure-FTPd.
func TestTheLastReplyIsTheRefusal(t *testing.T) {
	script := steps{{Send: "220 Welcome to Pure-FTPd"}}.then(talk("USER ferry", "331 password?", "PASS secret", "230 in", "FEAT", "500 what?",
		"PWD", `257 "/"`, "TYPE I", "200 binary", "CWD /gone", "550 no such folder", "CWD /", "250 ok", "QUIT", "221 bye")...)
	conn, _ := connect(t, script)
	_, err := conn.List(t.Context(), "/gone")
	outcome{code: 550, class: ftpclient.ClassPermanent}.check(t, err)
	if got := conn.LastReply(); got != "550 no such folder" {
		t.Errorf("it is %q", got)
	}
}
