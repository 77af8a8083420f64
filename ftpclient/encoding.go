package ftpclient

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// utf8Name and fallbackName are the values that Facts.Encoding can have. The fallback gives
// every byte a character of its own, which windows-1252 does not.
const (
	utf8Name     = "utf-8"
	fallbackName = "latin1"
)

// codec turns names as they are on the wire into names for the caller and back. The caller's
// are UTF-8; one that is not is the bytes of the wire, sent as they are. A codec is used by
// one goroutine at a time.
type codec struct {
	name    string
	decoder *encoding.Decoder // nil when bytes pass as they are
	encoder *encoding.Encoder
}

// newCodec finds an encoding by its htmlindex name; "" passes bytes as they are, as "utf-8"
// does.
func newCodec(name string) (codec, error) {
	name = strings.ToLower(strings.TrimSpace(name))
	var e encoding.Encoding
	switch name {
	case "", utf8Name, "utf8":
		return codec{name: name}, nil
	case fallbackName, "iso-8859-1":
		e = charmap.ISO8859_1 // browsers read windows-1252 instead, which lacks five bytes
	default:
		var err error
		if e, err = htmlindex.Get(name); err != nil {
			return codec{}, fmt.Errorf("no encoding is named %q: want a name of the WHATWG encoding standard, such as windows-1251 or shift_jis", name)
		}
		if !carriesASCII(e) {
			return codec{}, fmt.Errorf("encoding %q cannot be used for names: it writes %q in other bytes than ASCII does", name, "/")
		}
	}
	return codec{name: name, decoder: e.NewDecoder(), encoder: e.NewEncoder()}, nil
}

// carriesASCII keeps out UTF-16 and the encodings that switch by escape sequences, where the
// byte of a slash may be part of another character.
func carriesASCII(e encoding.Encoding) bool {
	for b := byte(0); b < utf8.RuneSelf; b++ {
		s := string(rune(b))
		if decoded, err := e.NewDecoder().String(s); err != nil || decoded != s {
			return false
		}
	}
	return true
}

// decode returns the name for bytes from the wire. Bytes that would not come back the same
// when sent stay what they are. ok is false when that is no way out, because they look like
// UTF-8: such a name could be listed and never be asked for.
func (c codec) decode(raw string) (name string, ok bool) {
	if c.decoder == nil || isASCII(raw) {
		return raw, true
	}
	name, err := c.decoder.String(raw)
	if err == nil && !strings.ContainsAny(name, "/\r\n\x00") {
		if again, err := c.encoder.String(name); err == nil && again == raw {
			return name, true
		}
	}
	return raw, !utf8.ValidString(raw)
}

// decodePath decodes element by element.
func (c codec) decodePath(raw string) (p string, ok bool) {
	if c.decoder == nil || isASCII(raw) {
		return raw, true
	}
	elements := strings.Split(raw, "/")
	for i, element := range elements {
		if elements[i], ok = c.decode(element); !ok {
			return raw, false
		}
	}
	return strings.Join(elements, "/"), true
}

// encode returns the bytes for one element of a path.
func (c codec) encode(name string) (string, error) {
	if c.encoder == nil || isASCII(name) || !utf8.ValidString(name) {
		return name, nil
	}
	raw, err := c.encoder.String(name)
	if err == nil {
		return raw, nil
	}
	for _, r := range name {
		if _, err := c.encoder.String(string(r)); err != nil {
			return "", fmt.Errorf("%w: %q has %q (%U), which %s does not have", ErrUnsendable, name, r, r, c.name)
		}
	}
	return "", fmt.Errorf("%w: %q in %s: %w", ErrUnsendable, name, c.name, err)
}

// encodePath encodes element by element: bytes that are no UTF-8 in one of them do not
// change how the others are sent.
func (c codec) encodePath(p string) (string, error) {
	if c.encoder == nil || isASCII(p) {
		return p, nil
	}
	elements := strings.Split(p, "/")
	for i, element := range elements {
		raw, err := c.encode(element)
		if err != nil {
			return "", err
		}
		elements[i] = raw
	}
	return strings.Join(elements, "/"), nil
}

// detect is the encoding that names speak for, "" when they are all ASCII. Text in another
// encoding is hardly ever valid UTF-8 by accident, so that one valid name among others
// decides.
func detect(names func(yield func(string) bool)) string {
	found := ""
	for name := range names {
		switch {
		case isASCII(name):
		case utf8.ValidString(name):
			return utf8Name
		default:
			found = fallbackName
		}
	}
	return found
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
