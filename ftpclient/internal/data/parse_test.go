package data

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestParseEPSV(t *testing.T) {
	tests := []struct {
		name, text string
		port       uint16 // 0 for an error
	}{
		{"the form of the standard", "Entering Extended Passive Mode (|||6446|)", 6446},
		{"another delimiter", "ok (!!!6446!)", 6446},
		{"other parentheses before it", "Entering (Extended) Passive Mode (ok) (|||6446|)", 6446},
		{"text behind it", "(|||6446|) good luck (|||1|)", 6446},
		{"the lowest port", "(|||1|)", 1},
		{"the highest port", "(|||65535|)", 65535},
		{"port 0", "(|||0|)", 0},
		{"a port that is too high", "(|||65536|)", 0},
		{"a negative port", "(|||-1|)", 0},
		{"a signed port", "(|||+1|)", 0},
		{"no port", "(||||)", 0},
		{"no number", "(|||x|)", 0},
		{"no end", "(|||6446", 0},
		{"no parenthesis at the end", "(|||6446|", 0},
		{"an address, which RFC 2428 forbids", "(|1|192.0.2.1|6446|)", 0},
		{"a protocol", "(|1||6446|)", 0},
		{"an address before the standard form", "(|1|192.0.2.1|6446|) (|||6446|)", 0},
		{"blanks as delimiters", "(   6446 )", 0},
		{"delimiters beyond ASCII", "(éééé6446é)", 0},
		{"a word that begins like it", "(see RFC 2428) (|||6446|)", 6446},
		{"digits as delimiters", "(1112111)", 0},
		{"nothing", "", 0},
		{"a parenthesis", "(", 0},
		{"two delimiters", "(||", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			port, err := ParseEPSV(test.text)
			if port != test.port || (err == nil) != (test.port != 0) {
				t.Errorf("%q: %d, %v; want %d", test.text, port, err, test.port)
			}
		})
	}
}

func TestParseEPSVTellsAddressesFromNonsense(t *testing.T) {
	for text, want := range map[string]error{
		"(|1|192.0.2.1|6446|)":     ErrEPSVAddress,
		"(|2|2001:db8::1|6446|)":   ErrEPSVAddress,
		"(||192.0.2.1|6446|)":      ErrEPSVAddress,
		"(!1!192.0.2.1!6446!) bye": ErrEPSVAddress,
		"(192,0,2,1,25,46)":        ErrNonsense,
		"(|1|192.0.2.1|x|)":        ErrNonsense,
		"(|||70000|)":              ErrNonsense,
		"":                         ErrNonsense,
	} {
		if _, err := ParseEPSV(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestParsePASV(t *testing.T) {
	tests := []struct {
		name, text, want string // "" for an error
	}{
		{"the form of the standard", "Entering Passive Mode (192,0,2,1,25,46)", "192.0.2.1:6446"},
		{"no parentheses", "Entering Passive Mode 192,0,2,1,25,46", "192.0.2.1:6446"},
		{"a dot at the end", "Entering Passive Mode (192,0,2,1,25,46).", "192.0.2.1:6446"},
		{"an equals sign before it", "Passive mode OK =192,0,2,1,25,46", "192.0.2.1:6446"},
		{"blanks behind the commas", "(192, 0, 2, 1, 25, 46)", "192.0.2.1:6446"},
		{"leading zeros", "(192,000,002,001,025,046)", "192.0.2.1:6446"},
		{"other numbers before it", "Mode 2 of 5,6 (192,0,2,1,25,46)", "192.0.2.1:6446"},
		{"five numbers before it", "1,2,3,4,5 192,0,2,1,25,46", "192.0.2.1:6446"},
		{"port 0", "(192,0,2,1,0,0)", ""},
		{"five numbers", "(192,0,2,1,25)", ""},
		{"a number above 255", "(192,0,2,256,25,46)", ""},
		{"a number that is much too long", "(192,0,2,1,25," + strings.Repeat("9", 100) + ")", ""},
		{"a negative number", "(192,0,2,-1,25,46)", ""},
		{"words", "Entering Passive Mode", ""},
		{"nothing", "", ""},
		{"commas", ",,,,,", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParsePASV(test.text)
			if err != nil {
				if test.want != "" {
					t.Error(err)
				}
				return
			}
			if got.String() != test.want {
				t.Errorf("%q: %s, want %q", test.text, got, test.want)
			}
		})
	}
}

func TestArgumentsOfActiveModes(t *testing.T) {
	v4, v6 := netip.MustParseAddrPort("192.0.2.1:6446"), netip.MustParseAddrPort("[2001:db8::1]:65535")
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:6446")
	zoned := netip.MustParseAddrPort("[fe80::1%eth0]:1")
	for got, want := range map[string]string{
		formatPORT(v4):     "192,0,2,1,25,46",
		formatPORT(mapped): "192,0,2,1,25,46",
		formatEPRT(v4):     "|1|192.0.2.1|6446|",
		formatEPRT(mapped): "|1|192.0.2.1|6446|",
		formatEPRT(v6):     "|2|2001:db8::1|65535|",
		formatEPRT(zoned):  "|2|fe80::1|1|",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func FuzzParseEPSV(f *testing.F) {
	f.Add("(|||6446|)")
	f.Add("(x) (!!!1!)")
	f.Add("(|1|192.0.2.1|6446|)")
	f.Fuzz(func(t *testing.T, text string) {
		port, err := ParseEPSV(text)
		if (err == nil) != (port != 0) {
			t.Errorf("%q: %d, %v", text, port, err)
		}
		if err == nil && !strings.Contains(text, fmt.Sprint(port)) {
			t.Errorf("%q does not hold %d", text, port)
		}
		if err != nil && !errors.Is(err, ErrNonsense) && !errors.Is(err, ErrEPSVAddress) {
			t.Errorf("%q: %v", text, err)
		}
	})
}

func FuzzParsePASV(f *testing.F) {
	f.Add("(192,0,2,1,25,46)")
	f.Add("1,2,3,4,5 192, 0,2,1,025,46.")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParsePASV(text)
		if err != nil {
			return
		}
		if a.Port() == 0 || !a.Addr().Is4() {
			t.Errorf("%q: %s", text, a)
		}
		if again, err := ParsePASV(formatPORT(a)); err != nil || again != a {
			t.Errorf("%s became %s, %v", a, again, err)
		}
	})
}
