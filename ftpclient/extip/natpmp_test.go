package extip

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestNATPMPRequestsAsInTheRFC(t *testing.T) {
	for name, test := range map[string]struct {
		have []byte
		want string
	}{
		"the question for the address": {appendPMPAddress(nil), "0000"},
		"a mapping":                    {appendPMPMap(nil, pmpMap{internal: 50000, external: 50001, lifetime: 3600}), "00020000 c350c351 00000e10"},
		"a deletion":                   {appendPMPMap(nil, pmpMap{internal: 50000}), "00020000 c3500000 00000000"},
	} {
		if !bytes.Equal(test.have, fromHex(t, test.want)) {
			t.Errorf("%s: have %x, want %s", name, test.have, test.want)
		}
	}
}

func TestNATPMPMappingAnswers(t *testing.T) {
	request := pmpMap{internal: 50000, external: 50000, lifetime: 3600}
	for name, test := range map[string]struct {
		packet string
		want   pmpMap
		err    error
		text   string
	}{
		"granted, captured from miniupnpd 2.3.1": {packet: "00820000 00005a12 c350c350 00000e10", want: pmpMap{50000, 50000, 3600, 0x5a12}},
		"another port for a shorter time":        {packet: "00820000 00005a12 c350c355 00000078", want: pmpMap{50000, 50005, 120, 0x5a12}},
		"refused, with the request behind":       {packet: "00820002 00005a12 c350c350 00000e10", err: ErrRefused, text: "switched off"},
		"refused, with nothing behind":           {packet: "00820004 00005a12", err: ErrRefused, text: "no port left"},
		"no network":                             {packet: "00820003 00005a12", err: ErrRefused, text: "public address"},
		"a code of the future":                   {packet: "00821234 00005a12", err: ErrRefused, text: "4660"},
		"no mapping of TCP":                      {packet: "00820005 00005a12", err: ErrUnsupported},
		"a PCP server":                           {packet: "02820001 00000000 00005a12 000000000000000000000000", err: ErrUnsupported, text: "PCP version 2"},
		"the answer about UDP":                   {packet: "00810000 00005a12 c350c350 00000e10", err: errForeign},
		"another internal port":                  {packet: "00820000 00005a12 c351c350 00000e10", err: errForeign},
		"a request":                              {packet: "00020000 00005a12 c350c350 00000e10", err: errForeign},
		"granted, cut short":                     {packet: "00820000 00005a12 c350c350 00000e", err: errForeign},
		"nothing":                                {packet: "", err: errForeign},
	} {
		got, err := parsePMPMap(fromHex(t, test.packet), request)
		if !errors.Is(err, test.err) || got != test.want || err != nil && !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: have %+v, %v, want %+v, %v %q", name, got, err, test.want, test.err, test.text)
		}
	}
}

func TestNATPMPAddressAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		packet string
		want   pmpAddress
		err    error
	}{
		"captured from miniupnpd 2.3.1":                 {packet: "00800000 00005a12 2d2d2d01", want: pmpAddress{0x5a12, netip.MustParseAddr("45.45.45.1")}},
		"refused by miniupnpd 2.3.1 with a private one": {packet: "00800003 00005a12 00000000", err: ErrRefused},
		"cut short":          {packet: "00800000 00005a12 2d2d2d", err: errForeign},
		"the answer to MAP":  {packet: "00820000 00005a12 c350c350 00000e10", err: errForeign},
		"a later version":    {packet: "01800001 00005a12 00000000", err: ErrUnsupported},
		"unsupported by all": {packet: "00800001 00005a12", err: ErrUnsupported},
	} {
		got, err := parsePMPAddress(fromHex(t, test.packet))
		if !errors.Is(err, test.err) || got != test.want {
			t.Errorf("%s: have %+v, %v, want %+v, %v", name, got, err, test.want, test.err)
		}
	}
}

func FuzzNATPMPAnswer(f *testing.F) {
	for _, packet := range []string{"00820000 00005a12 c350c350 00000e10", "00800000 00005a12 2d2d2d01", "02820001 00000000", "00820003 00005a12"} {
		f.Add(fromHex(f, packet))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		mapping, err := parsePMPMap(packet, pmpMap{internal: 50000})
		if (err == nil) == (mapping == pmpMap{}) || err == nil && mapping.internal != 50000 {
			t.Fatalf("mapping %+v, %v", mapping, err)
		}
		address, err := parsePMPAddress(packet)
		if (err == nil) != address.address.Is4() {
			t.Fatalf("address %+v, %v", address, err)
		}
	})
}
