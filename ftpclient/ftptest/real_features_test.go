package ftptest

import (
	"bytes"
	"compress/zlib"
	"crypto/tls"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// eachServerThat runs a test on every server that offers the option, and sees that the others refuse it by name.
func eachServerThat(t *testing.T, option string, o RealOptions, check func(t *testing.T, s *RealServer)) {
	t.Helper()
	for _, name := range RealServers {
		if !Offers(name, option) {
			if err := o.check(name); err == nil || !strings.Contains(err.Error(), option) {
				t.Errorf("%s: got %v, want an error that names %s", name, err, option)
			}
			continue
		}
		t.Run(name, func(t *testing.T) {
			o := o
			o.Root = t.TempDir()
			check(t, Real(t, name, o))
		})
	}
}

func (s *RealServer) put(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.Root, name), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// attempt returns the reply to a transfer that may be refused at any stage.
func (c *session) attempt(line string, upload []byte) string {
	c.t.Helper()
	raw := c.open()
	defer raw.Close()
	reply := c.try(line)
	if reply[0] != '1' {
		return reply
	}
	if _, err := raw.Write(upload); err == nil {
		raw.CloseWrite()
	}
	return c.next()
}

func isRefusal(reply string) bool { return reply[0] == '4' || reply[0] == '5' }

func TestOptionsOutOfRangeAreRefused(t *testing.T) {
	for _, c := range []struct {
		server string
		o      RealOptions
		want   string
	}{
		{"pure-ftpd", RealOptions{ImplicitTLS: true}, "ImplicitTLS"},
		{"pure-ftpd", RealOptions{IdleTimeout: 90 * time.Second}, "counts by 1m0s"},
		{"vsftpd", RealOptions{IdleTimeout: 1500 * time.Millisecond}, "counts by 1s"},
		{"pure-ftpd", RealOptions{Throttle: 1500}, "counts by 1024"},
		{"proftpd", RealOptions{Modules: []string{"ban"}}, `module "ban"`},
		{"proftpd", RealOptions{MaxTLS: tls.VersionTLS11}, "it has TLS 1.2 and 1.3"},
	} {
		if err := c.o.check(c.server); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: got %v, want an error with %q", c.server, c.o, err, c.want)
		}
	}
}

func TestMaxTLSIsTheNewestVersionSpoken(t *testing.T) {
	for option, want := range map[uint16]uint16{tls.VersionTLS12: tls.VersionTLS12, 0: tls.VersionTLS13} {
		for _, name := range RealServers {
			t.Run(name+" "+tls.VersionName(want), func(t *testing.T) {
				s := Real(t, name, RealOptions{TLS: true, MaxTLS: option})
				c := dial(t, s, false)
				c.command(234, "AUTH TLS")
				conn := tls.Client(c.conn, &tls.Config{RootCAs: s.CertPool, ServerName: "127.0.0.1"})
				if err := conn.Handshake(); err != nil {
					t.Fatal(err)
				}
				if got := conn.ConnectionState().Version; got != want {
					t.Errorf("got %s, want %s", tls.VersionName(got), tls.VersionName(want))
				}
			})
		}
	}
}

func TestClientCertificatesAreDemanded(t *testing.T) {
	certificate, caFile := NewClientCertificate(t)
	eachServerThat(t, "ClientCAFile", RealOptions{ClientCAFile: caFile}, func(t *testing.T, s *RealServer) {
		for _, shown := range [][]tls.Certificate{{certificate}, nil} {
			c := &session{t: t, server: s}
			c.connect()
			c.reply(220)
			c.command(234, "AUTH TLS")
			c.secure()
			c.tls.Certificates = shown
			if shown == nil {
				if reply := c.try("USER " + s.User); reply[:3] != "000" {
					t.Errorf("without a certificate: got %q, want an end of the connection", reply)
				}
				continue
			}
			c.command(331, "USER "+s.User)
			c.command(230, "PASS "+s.Password)
			c.command(200, "PBSZ 0")
			c.command(200, "PROT P")
			c.command(200, "TYPE I")
			c.transfer("STOR file", []byte("content"))
			if got := c.transfer("RETR file", nil); string(got) != "content" {
				t.Errorf("RETR: got %q", got)
			}
		}
	})
}

func TestNoRestartRefusesToGoOnWithAFile(t *testing.T) {
	eachServerThat(t, "NoRestart", RealOptions{NoRestart: true}, func(t *testing.T, s *RealServer) {
		s.put("file", "content")
		c := login(t, s, false)
		c.try("REST 3")
		if reply := c.attempt("STOR file", []byte("x")); !isRefusal(reply) {
			t.Errorf("REST and STOR: got %q, want a refusal", reply)
		}
		if reply := c.attempt("APPE file", []byte("x")); !isRefusal(reply) {
			t.Errorf("APPE: got %q, want a refusal", reply)
		}
		c.transfer("STOR file", []byte("new"))
	})
}

func TestNoOverwriteKeepsWhatIsThere(t *testing.T) {
	eachServerThat(t, "NoOverwrite", RealOptions{NoOverwrite: true}, func(t *testing.T, s *RealServer) {
		s.put("file", "content")
		c := login(t, s, false)
		if reply := c.attempt("STOR file", []byte("x")); !isRefusal(reply) {
			t.Errorf("STOR: got %q, want a refusal", reply)
		}
		c.transfer("STOR new", []byte("new"))
	})
}

func TestAutoRenameMakesAnotherFile(t *testing.T) {
	eachServerThat(t, "AutoRename", RealOptions{AutoRename: true}, func(t *testing.T, s *RealServer) {
		s.put("file", "content")
		login(t, s, false).transfer("STOR file", []byte("new"))
		for name, want := range map[string]string{"file": "content", "file.1": "new"} {
			if got, err := os.ReadFile(filepath.Join(s.Root, name)); string(got) != want {
				t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
			}
		}
	})
}

func TestNoDotNamesRefusesThem(t *testing.T) {
	eachServerThat(t, "NoDotNames", RealOptions{NoDotNames: true}, func(t *testing.T, s *RealServer) {
		c := login(t, s, false)
		if reply := c.attempt("STOR .file", []byte("x")); !isRefusal(reply) {
			t.Errorf("STOR .file: got %q, want a refusal", reply)
		}
		c.transfer("STOR file", []byte("x"))
		if got := string(c.transfer("LIST", nil)); !strings.Contains(got, "file") {
			t.Errorf("LIST: got %q", got)
		}
	})
}

func TestHideDotFilesLeavesThemOutOfLIST(t *testing.T) {
	eachServerThat(t, "HideDotFiles", RealOptions{HideDotFiles: true}, func(t *testing.T, s *RealServer) {
		s.put(".hidden", "x")
		c := login(t, s, false)
		if got := string(c.transfer("LIST", nil)); strings.Contains(got, ".hidden") {
			t.Errorf("LIST: got %q", got)
		}
		if got := string(c.transfer("LIST -a", nil)); !strings.Contains(got, ".hidden") {
			t.Errorf("LIST -a: got %q", got)
		}
	})
}

func TestDeniedCommandsAreRefusedAndOthersAreNot(t *testing.T) {
	denied := []string{"MFMT", "MLSD", "EPSV", "MLST", "SIZE"}
	eachServerThat(t, "Deny", RealOptions{Deny: denied}, func(t *testing.T, s *RealServer) {
		s.put("file", "content")
		c := login(t, s, false)
		for _, line := range []string{"MFMT 20200102030405 file", "MLSD", "EPSV", "MLST file", "SIZE file"} {
			if reply := c.try(line); !isRefusal(reply) {
				t.Errorf("%s: got %q, want a refusal", line, reply)
			}
		}
		c.command(213, "MDTM file")
		c.pasv = true
		if got := c.transfer("RETR file", nil); string(got) != "content" {
			t.Errorf("RETR: got %q", got)
		}
	})
}

func TestModulesBringTheirCommands(t *testing.T) {
	all := []string{"deflate", "digest", "copy", "site_misc"}
	for _, secure := range []bool{false, true} {
		eachServerThat(t, "Modules", RealOptions{Modules: all, TLS: secure}, func(t *testing.T, s *RealServer) {
			s.put("file", "content")
			c := login(t, s, secure)
			if got := c.command(213, "HASH file"); !strings.Contains(got, "file") {
				t.Errorf("HASH: got %q", got)
			}
			c.command(350, "SITE CPFR file")
			c.command(250, "SITE CPTO copy")
			c.command(200, "SITE UTIME 20200102030405 copy")
			if got := c.command(213, "MDTM copy"); got != "20200102030405" {
				t.Errorf("MDTM after SITE UTIME: got %q", got)
			}
			c.command(200, "MODE Z")
			reader, err := zlib.NewReader(bytes.NewReader(c.transfer("RETR copy", nil)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(reader); string(got) != "content" || err != nil {
				t.Errorf("RETR in MODE Z: got %q, %v", got, err)
			}
		})
	}
}

func TestQuotasEndUploads(t *testing.T) {
	for _, o := range []RealOptions{{QuotaFiles: 2}, {QuotaBytes: 1 << 16}} {
		option := "QuotaFiles"
		if o.QuotaBytes > 0 {
			option = "QuotaBytes"
		}
		eachServerThat(t, option, o, func(t *testing.T, s *RealServer) {
			c := login(t, s, false)
			c.transfer("STOR one", []byte("x"))
			c.transfer("STOR two", []byte("x"))
			reply := c.attempt("STOR three", make([]byte, 1<<20))
			if reply[:3] != "552" {
				t.Errorf("%+v: got %q, want 552", o, reply)
			}
		})
	}
}

func TestThrottleSlowsDataDown(t *testing.T) {
	content := make([]byte, 120<<10) // the first second is free at some
	for _, secure := range []bool{false, true} {
		eachServerThat(t, "Throttle", RealOptions{Throttle: 40 << 10, TLS: secure}, func(t *testing.T, s *RealServer) {
			t.Parallel()
			s.put("file", string(content))
			c := login(t, s, secure)
			start := time.Now()
			if got := c.transfer("RETR file", nil); len(got) != len(content) {
				t.Errorf("got %d bytes, want %d", len(got), len(content))
			}
			if took := time.Since(start); took < 800*time.Millisecond {
				t.Errorf("RETR took %s, want two seconds or so", took)
			}
		})
	}
}

func TestIdleTimeoutEndsTheSession(t *testing.T) {
	for _, name := range RealServers {
		if name == "pure-ftpd" {
			continue // a minute is too long to wait for
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Long enough for a login on a machine that stalls.
			c := login(t, Real(t, name, RealOptions{IdleTimeout: 8 * time.Second}), false)
			if reply := c.next(); reply[:3] != "421" {
				t.Errorf("got %q, want 421", reply)
			}
			if reply := c.next(); reply[:3] != "000" {
				t.Errorf("after 421: got %q, want the end", reply)
			}
		})
	}
}

func TestLocalTimeIsToldInListings(t *testing.T) {
	// In summer all year, so that the hour is certain.
	for _, local := range []bool{false, true} {
		o := RealOptions{TimeZone: "AAA5", LocalTime: local}
		for _, name := range RealServers {
			if local && !Offers(name, "LocalTime") {
				continue
			}
			t.Run(name+map[bool]string{false: " UTC", true: " local"}[local], func(t *testing.T) {
				s := Real(t, name, o)
				s.put("file", "content")
				stamp := time.Now().UTC().Truncate(24 * time.Hour).Add(-12 * time.Hour) // noon of yesterday
				if err := os.Chtimes(filepath.Join(s.Root, "file"), stamp, stamp); err != nil {
					t.Fatal(err)
				}
				c := login(t, s, false)
				list, mdtm := "12:00", "120000"
				if local || name == "pure-ftpd" {
					list = "07:00"
				}
				if local && name != "proftpd" {
					mdtm = "070000"
				}
				if got := string(c.transfer("LIST", nil)); !strings.Contains(got, list) {
					t.Errorf("LIST: got %q, want %s", got, list)
				}
				if got := c.command(213, "MDTM file"); !strings.HasSuffix(strings.TrimSuffix(got, ".000"), mdtm) {
					t.Errorf("MDTM: got %q, want %s", got, mdtm)
				}
			})
		}
	}
}

func TestOffersKnowsItsFields(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a field that is not there is no reason to panic")
		}
	}()
	if !slices.ContainsFunc(RealServers, func(name string) bool { return Offers(name, "QuotaBytes") }) {
		t.Error("no server has quotas")
	}
	Offers("vsftpd", "Quota")
}
