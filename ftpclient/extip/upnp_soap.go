package extip

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/encoding/charmap"
)

const (
	// upnpAnswerTime is how long a gateway may take for one answer. They are slow machines, but not that slow.
	upnpAnswerTime = 3 * time.Second
	// upnpLargest is the largest answer that is read; real descriptions have up to 30 kB.
	upnpLargest = 256 << 10
)

// upnpClient returns an HTTP client that can reach nobody but the gateway, from the local address, follows no redirect,
// goes through no proxy and leaves no connection behind.
func upnpClient(gateway, local netip.Addr) *http.Client {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if target, err := netip.ParseAddrPort(address); err != nil || target.Addr() != gateway {
					return nil, fmt.Errorf("%s is not the gateway %s", address, gateway)
				}
				return dialer.DialContext(ctx, network, address)
			},
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange makes one HTTP request to the gateway. The error wraps ErrNoGateway if there was no answer, ErrUnsupported if
// there was one that cannot be used.
func (u *UPnP) exchange(ctx context.Context, method string, target *url.URL, header http.Header, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, upnpAnswerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	request.Header = header
	response, err := u.client.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 3 {
		return 0, nil, fmt.Errorf("%w: %s redirects to another place (HTTP %d)", ErrUnsupported, target, response.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, upnpLargest+1))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: the answer of %s broke off: %w", ErrNoGateway, target, err)
	}
	if len(answer) > upnpLargest {
		return 0, nil, fmt.Errorf("%w: the answer of %s has more than %d bytes", ErrUnsupported, target, upnpLargest)
	}
	return response.StatusCode, answer, nil
}

// call has the service carry out an action, and returns the values of its answer by name. A refusal is an *upnpFault.
func (u *UPnP) call(ctx context.Context, s *upnpService, action string, arguments ...upnpArgument) (map[string]string, error) {
	status, body, err := u.exchange(ctx, http.MethodPost, s.control, http.Header{
		"Content-Type": {`text/xml; charset="utf-8"`},
		// In this spelling: there are gateways that compare letter by letter.
		"SOAPAction": {`"` + s.kind + "#" + action + `"`},
	}, encodeAction(s.kind, action, arguments))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	values, err := parseAnswer(body)
	if code, _ := strconv.Atoi(values["errorCode"]); code > 0 {
		return nil, &upnpFault{action: action, code: code, description: printable(values["errorDescription"])}
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("%s: %w: HTTP %d", action, ErrUnsupported, status)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", action, ErrUnsupported, err)
	}
	return values, nil
}

// upnpArgument is one argument of an action.
type upnpArgument struct{ name, value string }

// encodeAction writes the request for an action (UPnP Device Architecture 1.1 section 3.2.1). The action's arguments
// have no namespace of their own, which is what gateways expect.
func encodeAction(kind, action string, arguments []upnpArgument) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"` +
		` s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>`)
	fmt.Fprintf(&b, `<u:%s xmlns:u="%s">`, action, kind)
	for _, a := range arguments {
		fmt.Fprintf(&b, "<%s>", a.name)
		xml.EscapeText(&b, []byte(a.value)) // a bytes.Buffer takes everything
		fmt.Fprintf(&b, "</%s>", a.name)
	}
	fmt.Fprintf(&b, "</u:%s></s:Body></s:Envelope>", action)
	return b.Bytes()
}

// parseAnswer returns the elements of an answer that hold text and no other elements, by their names without namespace;
// of several with one name the first. With an error it returns what came before.
func parseAnswer(body []byte) (map[string]string, error) {
	values := map[string]string{}
	var text strings.Builder
	leaf := false
	decoder := newUPnPDecoder(body)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return values, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			text.Reset()
			leaf = true
		case xml.CharData:
			text.Write(token)
		case xml.EndElement:
			if _, twice := values[token.Name.Local]; leaf && !twice {
				values[token.Name.Local] = strings.TrimSpace(text.String())
			}
			leaf = false
		}
	}
}

// newUPnPDecoder reads XML as it comes from gateways: with bare ampersands, with zeros at the end, in whatever character
// set. What we look for is ASCII in all of them.
func newUPnPDecoder(body []byte) *xml.Decoder {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimRight(body, "\x00"), []byte("\ufeff")))
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.Strict = false
	decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) {
		return charmap.ISO8859_1.NewDecoder().Reader(input), nil
	}
	return decoder
}

// upnpFault is a refusal with a reason.
type upnpFault struct {
	action      string
	code        int
	description string // printable
}

func (f *upnpFault) Error() string {
	text := fmt.Sprintf("%s: error %d", f.action, f.code)
	if f.description != "" {
		text += " (" + f.description + ")"
	}
	if cure := upnpCures[f.code]; cure != "" {
		text += ": " + cure
	}
	return text
}

// Unwrap tells a gateway that does not know the action from one that does not want to.
func (f *upnpFault) Unwrap() error {
	if f.code == 401 || f.code == 602 {
		return ErrUnsupported
	}
	return ErrRefused
}

// upnpCode returns the code of a refusal, 0 if the error is none.
func upnpCode(err error) int {
	var fault *upnpFault
	if errors.As(err, &fault) {
		return fault.code
	}
	return 0
}

// upnpCures says what the codes of UPnP Device Architecture 1.1 section 3.2.2 and of WANIPConnection:1 and :2 mean for
// an operator.
var upnpCures = map[int]string{
	401: "the gateway does not know this action",
	402: "the gateway does not accept an argument; forward a port by hand",
	501: "the gateway could not do it; its uplink is down or there is another NAT behind it, or it has run out of mappings",
	602: "the gateway does not know this action",
	606: "the gateway does not let this machine open ports; allow UPnP for it in the gateway's settings",
	714: "the gateway has no such mapping",
	715: "the gateway opens ports for single hosts only; forward a port by hand",
	716: "the gateway needs a port number",
	718: "the port belongs to somebody else",
	724: "the gateway opens only ports of the same number inside and outside; listen on a port that is free outside",
	725: "the gateway knows only mappings for good",
	726: "the gateway opens ports for everybody only",
	727: "the gateway opens all ports or none; forward a port by hand",
	728: "the gateway has no port left for this machine; its table of mappings is full, or its settings allow none",
	729: "the gateway has given the port away by another protocol or by hand",
	732: "the gateway needs an internal port number",
	733: "the gateway finds that the arguments do not fit together",
}

// printable makes a gateway's text fit for logs and terminals: one line, not too long.
func printable(text string) string {
	const longest = 100
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return strings.TrimSpace(text)
}
