package ftpclient_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

var algorithms = []ftpclient.Algorithm{ftpclient.SHA512, ftpclient.SHA256, ftpclient.SHA1, ftpclient.MD5, ftpclient.CRC32}

func TestHashesOfProFTPD(t *testing.T) {
	p := realPlace(t, "proftpd", ftptest.RealOptions{Modules: []string{"digest"}})
	if diff := cmp.Diff(algorithms, p.conn.Hashes()); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
	files := map[string][]byte{"file": content(40, 300_000), "with blanks 12": []byte("hello, world\n"), "empty": nil,
		"d41d8cd98f00b204e9800998ecf8427e": []byte("named like a hash"), `quo"te`: []byte("x")}
	for name, content := range files {
		p.put(t, name, content)
		for _, a := range algorithms {
			want := a.New()
			want.Write(content)
			if got, err := p.conn.Hash(t.Context(), p.remote(name), a); err != nil || !bytes.Equal(got, want.Sum(nil)) {
				t.Errorf("%s of %s: %x, %v; want %x", a, name, got, err, want.Sum(nil))
			}
		}
	}
	for length, changed := range map[int64]bool{0: false, 1: false, 65_536: false, 299_999: false, 300_000: true, 300_001: true} {
		other := append(bytes.Clone(files["file"]), 1)
		other[299_999]++
		if same, err := p.conn.SamePrefix(t.Context(), p.remote("file"), bytes.NewReader(other), length); same == changed || err != nil {
			t.Errorf("the first %d bytes are the same: %v, %v", length, same, err)
		}
	}
	_, err := p.conn.Hash(t.Context(), p.remote("nobody"), ftpclient.SHA256)
	outcome{code: 550, class: ftpclient.ClassPermanent}.check(t, err)
	// The range of one HASH is not that of the next.
	if err := os.Truncate(p.disk+"/file", 200_000); err != nil {
		t.Fatal(err)
	}
	want := ftpclient.SHA512.New()
	want.Write(files["file"][:200_000])
	if got, err := p.conn.Hash(t.Context(), p.remote("file"), ftpclient.SHA512); err != nil || !bytes.Equal(got, want.Sum(nil)) {
		t.Errorf("%x, %v", got, err)
	}
}

func TestFormsOfHashes(t *testing.T) {
	const md5 = "5d41402abc4b2a76b9719d911017c592"
	other := strings.Repeat("ab", 16)
	const askHASH = "OPTS HASH MD5"
	tests := []struct {
		name, want, features string // want is "" for an error
		talk                 []string
	}{
		{"HASH as in the draft", md5, "HASH SHA-1*;MD5", []string{askHASH, "200 MD5", "HASH /f", "213 MD5 0-4 " + md5 + " f"}},
		{"HASH with a range that ends behind the file", md5, "HASH MD5", []string{askHASH, "200 MD5", "HASH /f", "213 MD5 0-5 " + md5 + " f"}},
		{"HASH of another range", "", "HASH MD5", []string{askHASH, "200 MD5", "HASH /f", "213 MD5 0-3 " + md5 + " f"}},
		{"HASH by another algorithm", "", "HASH MD5", []string{askHASH, "200 MD5", "HASH /f", "213 SHA-1 0-4 " + md5 + " f"}},
		{"HASH that is too short", "", "HASH MD5", []string{askHASH, "200 MD5", "HASH /f", "213 MD5 0-4 " + md5[2:] + " f"}},
		{"HASH that does not know its own algorithm", "", "HASH MD5", []string{askHASH, "501 no"}},
		{"XMD5 alone", md5, "XMD5", []string{"XMD5 /f", "250 " + strings.ToUpper(md5)}},
		{"XMD5 in two lines", md5, "XMD5", []string{"XMD5 /f", "250-Computing MD5 digest\n250 " + md5}},
		{"XMD5 in quotes", md5, "XMD5", []string{"XMD5 /f", `250 "` + md5 + `"`}},
		{"XMD5 that wants quotes", md5, "XMD5", []string{"XMD5 /f", "501 syntax", `XMD5 "/f"`, "250 " + md5}},
		{"MD5 with the name", md5, "MD5", []string{"MD5 /f", "251 /f " + md5}},
		{"XMD5 with a name that looks like one", md5, "XMD5", []string{"XMD5 /f", "250 " + md5 + " " + other + ".txt"}},
		{"XMD5 with two", "", "XMD5", []string{"XMD5 /f", "250 " + md5 + " " + other}},
		{"XMD5 with none", "", "XMD5", []string{"XMD5 /f", "250 done"}},
		{"XMD5 that is refused", "", "XMD5", []string{"XMD5 /f", "550 no"}},
		{"no command for it", "", "XCRC", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn, _ := connect(t, session(test.features, talk("SIZE /f", "213 5").then(talk(test.talk...)...)))
			got, err := conn.Hash(t.Context(), "/f", ftpclient.MD5)
			if (err == nil) != (test.want != "") || hex.EncodeToString(got) != test.want {
				t.Errorf("%x, %v", got, err)
			}
			if !conn.Usable() {
				t.Error("the connection is lost")
			}
		})
	}
	t.Run("a name in quotes is sent as every other", func(t *testing.T) {
		name := `/caf\é` // a backslash and a letter that latin1 has
		conn, _ := connect(t, session("XMD5", talk("SIZE /caf\\\xe9", "213 5", "XMD5 /caf\\\xe9", "501 syntax",
			"XMD5 \"/caf\\\xe9\"", "250 5d41402abc4b2a76b9719d911017c592")), func(o *ftpclient.Options) { o.Encoding = "latin1" })
		if _, err := conn.Hash(t.Context(), name, ftpclient.MD5); err != nil {
			t.Error(err)
		}
	})
	t.Run("a CRC without leading zeros", func(t *testing.T) {
		conn, _ := connect(t, session("XCRC", talk("SIZE /f", "213 5", "XCRC /f", "250 ABCDE1")))
		if got, err := conn.Hash(t.Context(), "/f", ftpclient.CRC32); err != nil || fmt.Sprintf("%x", got) != "00abcde1" {
			t.Errorf("%x, %v", got, err)
		}
	})
}

// FuzzHashes holds that a hash is never taken from anything but hexadecimal digits of the line.
func FuzzHashes(f *testing.F) {
	const md5 = "5d41402abc4b2a76b9719d911017c592"
	f.Add("MD5 0-5 "+md5+" name", "name", int64(5))
	f.Add(`251 "/d/f" `+md5, "/d/f", int64(0))
	f.Add("250 ABCDE1", "/f", int64(-1))
	f.Add(md5, md5, int64(1))
	f.Fuzz(func(t *testing.T, line, p string, length int64) {
		for _, a := range algorithms {
			for _, digest := range [][]byte{ftpclient.ParseDigest(line, p, a.New().Size()), ftpclient.ParseHASH(line, a, length)} {
				if digest == nil {
					continue
				}
				text := strings.TrimLeft(hex.EncodeToString(digest), "0")
				if len(digest) != a.New().Size() || !strings.Contains(strings.ToLower(line), text) {
					t.Errorf("%x out of %q", digest, line)
				}
			}
		}
	})
}
