package ftpclient_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// onRealServers runs a check on each real server, without TLS, in a folder of its own.
func onRealServers(t *testing.T, check func(*testing.T, *place), change ...func(*ftpclient.Options)) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			o := optionsFor(server, securities[0])
			for _, f := range change {
				f(&o)
			}
			conn := dial(t, ctx, server.Addr, o)
			p := &place{conn: conn, server: server, mode: ftpclient.EPSV, folder: conn.Absolute("here"), disk: filepath.Join(server.Root, "here")}
			if err := conn.MakeDir(ctx, p.folder); err != nil {
				t.Fatal(err)
			}
			check(t, p)
		})
	}
}

func TestNamesInOldEncodingsOnRealServers(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"", "latin1", "shift_jis"} {
		name := map[string]string{"": "raw", "latin1": "grün ÿÿ ä", "shift_jis": "日本 名"}[encoding]
		raw := map[string]string{"": "gr\xfcn \xff\xffx \xff", "latin1": "gr\xfcn \xff\xff \xe4", "shift_jis": "\x93\xfa\x96{ \x96\xbc"}[encoding]
		if encoding == "" {
			name = raw
		}
		t.Run("encoding "+encoding, func(t *testing.T) {
			onRealServers(t, func(t *testing.T, p *place) {
				if p.server.Name == "pyftpdlib" {
					oldNamesOnPyftpdlib(t, p, name, raw)
					return
				}
				p.store(t, name, []byte("12345"))
				if onDisk, err := os.ReadFile(filepath.Join(p.disk, raw)); err != nil || string(onDisk) != "12345" {
					entries, _ := os.ReadDir(p.disk)
					t.Errorf("on disk: %q, %v; there is %q", onDisk, err, entries)
				}
				if stored, err := p.conn.StoredAs(t.Context(), p.remote(name)); err != nil || stored != name && encoding != "" {
					t.Errorf("stored as %q, %v", stored, err)
				}
				l, err := p.conn.List(t.Context(), p.folder)
				mixed := encoding == "" && p.server.Name == "vsftpd" // which does not say that its names are UTF-8
				if err != nil || l.Mixed != mixed || (l.Incomplete != "") != mixed || len(l.Entries) != 1 {
					t.Fatalf("%+v, %v", l, err)
				}
				listed := l.Entries[0].Name
				if encoding != "" && listed != name {
					t.Errorf("listed as %q, want %q", listed, name)
				}
				if got, _ := p.retrieve(t, listed, 0); string(got) != "12345" {
					t.Errorf("%q", got)
				}
				if err := p.conn.Rename(t.Context(), p.remote(listed), p.remote(listed+" 2")); err != nil {
					t.Error(err)
				}
				if err := p.conn.Remove(t.Context(), p.remote(listed+" 2")); err != nil {
					t.Error(err)
				}
			}, func(o *ftpclient.Options) { o.Encoding = encoding })
		})
	}
}

// oldNamesOnPyftpdlib: it writes another sign for bytes that are not UTF-8, and cannot be told
// not to. The client finds out, and the name that there is now can be asked for or not.
func oldNamesOnPyftpdlib(t *testing.T, p *place, name, raw string) {
	p.store(t, name, []byte("12345"))
	if _, err := os.Stat(filepath.Join(p.disk, raw)); err == nil {
		t.Error("it keeps the bytes by now")
	}
	stored, err := p.conn.StoredAs(t.Context(), p.remote(name))
	t.Logf("stored as %q, %v", stored, err)
	if err == nil {
		t.Errorf("stored as %q", stored)
	}
}

func TestNamesThatServersChange(t *testing.T) {
	t.Parallel()
	onRealServers(t, func(t *testing.T, p *place) {
		ctx := t.Context()
		for name, want := range map[string]string{"plain": "plain", " lead": " lead", "trail ": "trail ", "dot.": "dot."} {
			p.store(t, name, []byte("x"))
			if p.server.Name == "pure-ftpd" && strings.HasSuffix(want, " ") {
				want = "trail_"
			}
			got, err := p.conn.StoredAs(ctx, p.remote(name))
			if got != want || errors.Is(err, ftpclient.ErrNameChanged) != (want != name) || (err != nil) != (want != name) {
				t.Errorf("%q is stored as %q, %v; want %q", name, got, err, want)
			}
			if err != nil && ftpclient.Classify(err) != ftpclient.ClassPermanent {
				t.Errorf("%v is %s", err, ftpclient.Classify(err))
			}
		}
		if insensitive, err := p.conn.CaseInsensitive(ctx, p.remote("plain")); err != nil || insensitive || p.conn.Facts().CaseInsensitive != "no" {
			t.Errorf("case does not matter: %v, %v", insensitive, err)
		}
	})
}

func TestLongPathsOnRealServers(t *testing.T) {
	t.Parallel()
	onRealServers(t, func(t *testing.T, p *place) {
		ctx := t.Context()
		deep := "dddddddddd/-a option/~home/ blank/eeeeeeeeeeeeeeeeeeeeeeee/-ffffffffffffffffffffffffffffffffffffffff/gggg"
		if p.server.Name == "pure-ftpd" {
			deep = strings.ReplaceAll(deep, " ", "") // which it changes
		}
		if err := p.conn.MakeDirs(ctx, p.remote(deep)); err != nil {
			t.Fatal(err)
		}
		if err := p.conn.MakeDirs(ctx, p.remote(deep)); err != nil {
			t.Errorf("once more: %v", err)
		}
		for _, name := range []string{"-rf", "~root", "plain"} {
			p.store(t, deep+"/"+name, []byte("12345"))
			if onDisk, err := os.ReadFile(filepath.Join(p.disk, deep, name)); err != nil || string(onDisk) != "12345" {
				t.Errorf("on disk: %q, %v", onDisk, err)
			}
			if err := p.conn.SetModTime(ctx, p.remote(deep+"/"+name), time.Unix(1e9, 0)); err != nil {
				t.Error(err)
			}
			if entry, err := p.conn.Stat(ctx, p.remote(deep+"/"+name)); err != nil || entry.Size != 5 || entry.ModTime.Unix() != 1e9 {
				t.Errorf("%+v, %v", entry, err)
			}
			if err := p.conn.Rename(ctx, p.remote(deep+"/"+name), p.remote(deep+"/-"+name)); err != nil {
				t.Error(err)
			}
			if got, _ := p.retrieve(t, deep+"/-"+name, 0); string(got) != "12345" {
				t.Errorf("%q", got)
			}
		}
		l, err := p.conn.List(ctx, p.remote(deep))
		if diff := cmp.Diff([]string{"--rf", "-plain", "-~root"}, namesOf(l)); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		stats, err := p.conn.StatFiles(ctx, []string{p.remote(deep + "/--rf"), p.remote(deep + "/-plain"), p.remote(deep + "/nobody")})
		if err != nil || len(stats) != 3 || !stats[0].Found || !stats[1].Found || stats[2].Found {
			t.Errorf("%+v, %v", stats, err)
		}
	}, limit(64))
}

func TestGroupsOnRealServers(t *testing.T) {
	t.Parallel()
	onRealServers(t, func(t *testing.T, p *place) {
		ctx := t.Context()
		var paths []string
		at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
		for i := range 100 {
			name := fmt.Sprintf("file %d ü", i)
			if err := os.WriteFile(filepath.Join(p.disk, name), make([]byte, i), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(filepath.Join(p.disk, name), at, at); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, p.remote(name))
		}
		paths = append(paths, p.remote("nobody"), p.folder, "bad\nname")
		stats, err := p.conn.StatFiles(ctx, paths)
		if err != nil || len(stats) != len(paths) {
			t.Fatalf("%d answers, %v", len(stats), err)
		}
		for i, s := range stats {
			switch {
			case s.Path != paths[i]:
				t.Errorf("%q, want %q", s.Path, paths[i])
			case i == 102:
				if !errors.Is(s.Err, ftpclient.ErrUnsendable) {
					t.Errorf("%+v", s)
				}
			case i >= 100:
				if s.Found || s.Err != nil {
					t.Errorf("%+v", s)
				}
			case !s.Found || s.Err != nil || s.Entry.Size != int64(i) || !s.Entry.ModTime.Equal(at) || s.Entry.Name != filepath.Base(paths[i]):
				t.Errorf("%+v", s)
			}
		}
		if got := p.conn.Facts().Pipelining; got != "yes" {
			t.Errorf("pipelining: %q", got)
		}
		if err := p.conn.MakeDirs(ctx, p.remote("a/b/c/d/e")); err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(p.disk, "a/b/c/d/e")); err != nil || !info.IsDir() {
			t.Error(err)
		}
		if err := p.conn.MakeDirs(ctx, p.remote("file 1 ü/x/y")); err == nil {
			t.Error("a folder was made below a file")
		}
		if size, err := p.conn.Size(ctx, paths[7]); err != nil || size != 7 {
			t.Errorf("out of step: %d, %v", size, err)
		}
	})
}

func TestModesOnRealServers(t *testing.T) {
	t.Parallel()
	onRealServers(t, func(t *testing.T, p *place) {
		p.store(t, "file", nil)
		if err := p.conn.SetMode(t.Context(), p.remote("file"), 0o640); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(p.disk, "file")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if err := p.conn.SetMode(t.Context(), p.remote("nobody"), 0o640); err == nil {
			t.Error("the mode of a missing file was set")
		}
		if p.conn.Facts().NoChmod {
			t.Error("a missing file taught that there is no SITE CHMOD")
		}
	})
}

// ways are the time setters that each server has when the others are denied.
var ways = map[string][]string{
	"vsftpd": {"MDTM"}, "pyftpdlib": {"MFMT"},
	"proftpd": {"MFMT", "MFF", "SITE UTIME", "SITE UTIME 2"}, "pure-ftpd": {"MFMT", "SITE UTIME", "SITE UTIME 2"},
}

func TestEveryWayToSetATime(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o ftptest.RealOptions
			if name == "proftpd" {
				o.Modules = []string{"site_misc"}
			}
			server := ftptest.Real(t, name, o)
			for i, way := range ways[name] {
				o := optionsFor(server, securities[0])
				o.Facts.TimeSetter = way
				conn := dial(t, t.Context(), server.Addr, o)
				want := time.Date(2001, 2, 3, 4, 5, 6+i, 999, time.UTC)
				setTime(t, conn, server, "file with blanks "+way, want)
			}
		})
	}
}

// setTime checks a time that is set by what it makes of a file on disk.
func setTime(t *testing.T, conn *ftpclient.Conn, server *ftptest.RealServer, name string, want time.Time) {
	t.Helper()
	if _, err := put(t.Context(), conn, conn.Absolute(name), strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := conn.LearnTimeZone(t.Context(), name, time.Now()); err != nil {
		t.Error(err)
	}
	if err := conn.SetModTime(t.Context(), name, want); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Join(server.Root, name))
	if err != nil || !info.ModTime().Equal(want.Truncate(time.Second)) {
		t.Errorf("%s: on disk %v, %v; want %v", conn.Facts().TimeSetter, info.ModTime().UTC(), err, want)
	}
	if told, err := conn.ModTime(t.Context(), name); err != nil || !told.Equal(want.Truncate(time.Second)) {
		t.Errorf("%s: told %v, %v; want %v", conn.Facts().TimeSetter, told, err, want)
	}
}

func TestTheWayToSetTimesIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		server  string
		options ftptest.RealOptions
		way     string
	}{
		{"proftpd", ftptest.RealOptions{Deny: []string{"MFMT"}}, "MFF"},
		{"proftpd", ftptest.RealOptions{Deny: []string{"MFMT", "MFF"}, Modules: []string{"site_misc"}}, "SITE UTIME"},
		// Its denial sounds like one for this file alone, so that the next one is tried again.
		{"proftpd", ftptest.RealOptions{Deny: []string{"MFMT", "MFF"}}, ""},
		{"pyftpdlib", ftptest.RealOptions{Deny: []string{"MFMT"}}, "none"},
		{"vsftpd", ftptest.RealOptions{}, "MDTM"},
		{"pure-ftpd", ftptest.RealOptions{}, "MFMT"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.server, " ", test.options.Deny, " ", test.way), func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, test.server, test.options)
			conn := dial(t, t.Context(), server.Addr, optionsFor(server, securities[0]))
			if test.way != "none" && test.way != "" {
				setTime(t, conn, server, "file", time.Unix(1e9, 0))
			} else {
				if _, err := put(t.Context(), conn, "/file", strings.NewReader("x")); err != nil {
					t.Fatal(err)
				}
				outcome{is: ftpclient.ErrUnsupported, class: ftpclient.ClassPermanent}.check(t, conn.SetModTime(t.Context(), "/file", time.Unix(1e9, 0)))
			}
			if got := conn.Facts().TimeSetter; got != test.way {
				t.Errorf("learned %q, want %q", got, test.way)
			}
		})
	}
}

func TestServersThatTellLocalTimes(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{TimeZone: "AAA5:30", LocalTime: ftptest.Offers(name, "LocalTime")})
			conn := dial(t, t.Context(), server.Addr, optionsFor(server, securities[0]))
			setTime(t, conn, server, "file", time.Unix(1e9, 0))
			t.Logf("%+v", conn.Facts())

			now := time.Now().Truncate(time.Minute)
			last := now.AddDate(0, 0, -40) // another month
			for name, at := range map[string]time.Time{"young": now, "older": last} {
				if err := os.WriteFile(filepath.Join(server.Root, name), nil, 0o644); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(filepath.Join(server.Root, name), at, at); err != nil {
					t.Fatal(err)
				}
			}
			o := optionsFor(server, securities[0])
			o.Facts = conn.Facts()
			o.Facts.MLSDBroken = true
			conn = dial(t, t.Context(), server.Addr, o)
			l, err := conn.List(t.Context(), "/")
			if err != nil || len(l.Entries) != 3 {
				t.Fatalf("%+v, %v", l, err)
			}
			for _, e := range l.Entries {
				switch {
				case e.Name == "young" && (!e.ModTime.Equal(now) || e.Precision != time.Minute),
					e.Name == "older" && (!e.ModTime.Equal(last) || e.Precision != time.Hour+time.Minute),
					e.Name == "file" && e.Precision != list.Day:
					t.Errorf("%+v; young is of %v", e, now)
				}
			}
			if got := conn.Facts().ListZone.Offset; got != -19800 {
				t.Errorf("offset %d", got)
			}
		})
	}
}
