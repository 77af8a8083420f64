package ftpclient

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func mustCodec(t testing.TB, name string) codec {
	t.Helper()
	c, err := newCodec(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDecodedNamesGoBackAsTheyCame(t *testing.T) {
	tests := []struct {
		name, encoding, raw, want string
		unreadable                bool
	}{
		{name: "ASCII is ASCII", encoding: "shift_jis", raw: "plain ~\\ name", want: "plain ~\\ name"},
		{name: "without an encoding bytes pass", encoding: "", raw: "\xfcber", want: "\xfcber"},
		{name: "in UTF-8 bytes pass, valid or not", encoding: "utf-8", raw: "ü\xfc", want: "ü\xfc"},
		{name: "decomposed accents stay decomposed", encoding: "UTF-8", raw: "u\u0308", want: "u\u0308"},
		{name: "latin1 is ISO 8859-1, not what browsers make of it", encoding: "latin1", raw: "\x80\xfc", want: "\u0080ü"},
		{name: "windows-1252 has a Euro sign", encoding: "windows-1252", raw: "\x80\xfc", want: "€ü"},
		{name: "Cyrillic", encoding: "windows-1251", raw: "\xcf\xf0\xe8", want: "При"},
		{name: "Japanese", encoding: "Shift_JIS", raw: "\x93\xfa\x96\x7b", want: "日本"},
		{name: "bytes that are none of the encoding stay bytes", encoding: "shift_jis", raw: "a\xff", want: "a\xff"},
		{name: "a byte that the encoding lacks stays a byte", encoding: "windows-1252", raw: "a\x81", want: "a\x81"},
		{name: "UTF-8 that is none of the encoding could not be asked for", encoding: "windows-1252", raw: "\xc3\x81", unreadable: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := mustCodec(t, test.encoding)
			got, ok := c.decode(test.raw)
			if ok == test.unreadable || ok && got != test.want {
				t.Fatalf("%q, %v; want %q", got, ok, test.want)
			}
			if again, err := c.encode(got); ok && (err != nil || again != test.raw) {
				t.Errorf("sent back as %q, %v; want %q", again, err, test.raw)
			}
		})
	}
}

func TestNamesThatTheEncodingLacksAreRefused(t *testing.T) {
	_, err := mustCodec(t, "windows-1251").encodePath("/a/日本")
	if !errors.Is(err, ErrUnsendable) || !strings.Contains(err.Error(), `'日' (U+65E5), which windows-1251`) {
		t.Error(err)
	}
}

func TestElementsOfAPathAreEncodedOneByOne(t *testing.T) {
	got, err := mustCodec(t, "latin1").encodePath("/grün/\xff\xe4/ä")
	if want := "/gr\xfcn/\xff\xe4/\xe4"; err != nil || got != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

// encodings are those in use for names.
var encodings = strings.Fields(`utf-8 latin1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8
	iso-8859-10 iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 windows-874 windows-1250 windows-1251 windows-1252
	windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 ibm866 koi8-r koi8-u macintosh
	x-mac-cyrillic gbk gb18030 big5 euc-jp shift_jis euc-kr`)

func TestEncodingsWithoutASCIIAreRefused(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"utf-16le": "other bytes than ASCII", "iso-2022-jp": "other bytes", "replacement": "other bytes",
		"koi9-r": "such as windows-1251", "utf_8": "no encoding is named",
	} {
		if _, err := newCodec(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	for _, name := range encodings {
		c, err := newCodec(name)
		if err != nil {
			t.Error(err)
			continue
		}
		// A slash or line end in the bytes of another character would cut a path in two.
		for r := rune(utf8.RuneSelf); c.encoder != nil && r < 0x10000; r++ {
			if raw, err := c.encoder.String(string(r)); err == nil && strings.ContainsAny(raw, "/\r\n\x00") {
				t.Fatalf("%s: %U is %q", name, r, raw)
			}
		}
	}
}

func TestDetect(t *testing.T) {
	for _, test := range []struct {
		name  string
		names []string
		want  string
	}{
		{"ASCII tells nothing", []string{"a", "b"}, ""},
		{"valid UTF-8 is UTF-8", []string{"a", "ü"}, "utf-8"},
		{"what is not valid is latin1", []string{"a", "\xfc"}, "latin1"},
		{"one valid name outweighs others", []string{"\xfc", "ü"}, "utf-8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := detect(func(yield func(string) bool) {
				for _, name := range test.names {
					if !yield(name) {
						return
					}
				}
			})
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func FuzzNamesGoBackAsTheyCame(f *testing.F) {
	for _, name := range encodings {
		f.Add(name, "gr\xfc\xdf/\x93\xfa")
		f.Add(name, "日本 ü")
	}
	f.Fuzz(func(t *testing.T, encoding, raw string) {
		c, err := newCodec(encoding)
		if err != nil || len(raw) > 4096 { // a path is no longer
			return
		}
		name, ok := c.decode(raw)
		if !ok {
			return
		}
		if strings.Count(name, "/") != strings.Count(raw, "/") && c.decoder != nil {
			t.Fatalf("%s: %q became %q", encoding, raw, name)
		}
		if again, err := c.encode(name); err != nil || again != raw {
			t.Fatalf("%s: %q became %q and went back as %q, %v", encoding, raw, name, again, err)
		}
	})
}
