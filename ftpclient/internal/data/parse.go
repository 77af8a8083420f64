package data

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ParseEPSV takes the port from the text of a 229 reply: "(|||port|)" with any delimiter
// (RFC 2428 section 3). ErrEPSVAddress is a reply with a protocol or an address before the port.
func ParseEPSV(text string) (uint16, error) {
	for rest := text; ; {
		_, inner, ok := strings.Cut(rest, "(")
		if !ok {
			return 0, fmt.Errorf("%w: no (|||port|) in %q", ErrNonsense, text)
		}
		rest = inner
		if inner == "" || inner[0] < '!' || inner[0] > '~' || isDigit(inner[0]) {
			continue
		}
		// Protocol, address, port, and the parenthesis.
		fields := strings.SplitN(inner[1:], inner[:1], 4)
		if len(fields) < 4 || !strings.HasPrefix(fields[3], ")") || fields[2] == "" || strings.Trim(fields[2], "0123456789") != "" {
			continue
		}
		if fields[0] != "" || fields[1] != "" {
			return 0, fmt.Errorf("%w: %q", ErrEPSVAddress, text)
		}
		return parsePort(fields[2], text)
	}
}

// ParsePASV takes address and port from the text of a 227 reply: the first run of six
// numbers, with or without parentheses (RFC 1123 section 4.1.2.6).
func ParsePASV(text string) (netip.AddrPort, error) {
	for start := 0; start < len(text); start++ {
		if !isDigit(text[start]) || start > 0 && isDigit(text[start-1]) {
			continue
		}
		if numbers, ok := sixNumbers(text[start:]); ok {
			address := netip.AddrFrom4([4]byte(numbers[:4]))
			port := uint16(numbers[4])<<8 | uint16(numbers[5])
			if port == 0 {
				return netip.AddrPort{}, fmt.Errorf("%w: port 0 in %q", ErrNonsense, text)
			}
			return netip.AddrPortFrom(address, port), nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%w: no six numbers in %q", ErrNonsense, text)
}

func sixNumbers(text string) (numbers [6]byte, ok bool) {
	for i := range numbers {
		end := 0
		for end < len(text) && end < 4 && isDigit(text[end]) {
			end++
		}
		n, err := strconv.ParseUint(text[:end], 10, 8)
		if err != nil {
			return numbers, false
		}
		numbers[i] = byte(n)
		text = text[end:]
		if i == len(numbers)-1 {
			return numbers, true
		}
		if !strings.HasPrefix(text, ",") {
			return numbers, false
		}
		text = strings.TrimLeft(text[1:], " ")
	}
	return numbers, true
}

func parsePort(digits, text string) (uint16, error) {
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%w: no usable one in %q", ErrNonsense, text)
	}
	return uint16(port), nil
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// formatPORT is the argument of PORT (RFC 959 section 5.3.2).
func formatPORT(a netip.AddrPort) string {
	ip := a.Addr().Unmap().As4()
	return fmt.Sprintf("%d,%d,%d,%d,%d,%d", ip[0], ip[1], ip[2], ip[3], a.Port()>>8, a.Port()&0xff)
}

// formatEPRT is the argument of EPRT (RFC 2428 section 2).
func formatEPRT(a netip.AddrPort) string {
	family := 2
	if a.Addr().Unmap().Is4() {
		family = 1
	}
	return fmt.Sprintf("|%d|%s|%d|", family, a.Addr().Unmap().WithZone(""), a.Port())
}
