package config

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

const autoEncoding = "auto"

// encodingNames are the encodings that can hold file names, by their usual names. There are many more aliases.
var encodingNames = []string{
	"utf-8", "windows-1250", "windows-1251", "windows-1252", "windows-1253", "windows-1254", "windows-1255", "windows-1256",
	"windows-1257", "windows-1258", "windows-874", "iso-8859-1", "iso-8859-2", "iso-8859-3", "iso-8859-4", "iso-8859-5",
	"iso-8859-6", "iso-8859-7", "iso-8859-8", "iso-8859-8-i", "iso-8859-9", "iso-8859-10", "iso-8859-13", "iso-8859-14",
	"iso-8859-15", "iso-8859-16", "ibm866", "koi8-r", "koi8-u", "macintosh", "x-mac-cyrillic", "gbk", "gb18030", "big5",
	"euc-jp", "euc-kr", "shift_jis", "latin1", "latin2", "latin3", "latin4", "latin5",
}

// notForNames are encodings of htmlindex in which a name cannot be sent, and why.
var notForNames = map[string]string{
	"utf-16be":       "its letters contain NUL bytes, which FTP cannot send",
	"utf-16le":       "its letters contain NUL bytes, which FTP cannot send",
	"iso-2022-jp":    `its letters contain the byte of "/", which separates folders`,
	"replacement":    "it cannot be read at all",
	"x-user-defined": "it has no letters of its own",
}

// encoding checks the encoding of file names and returns it in lower case, or "" for auto.
func (l *loader) encoding(at key, name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if name == autoEncoding || l.faults[at.id()] {
		return ""
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		l.fail(at, "%s", unknownEncoding(name))
		return ""
	}
	canonical, err := htmlindex.Name(found)
	if err != nil {
		canonical = name
	}
	if why, refused := notForNames[canonical]; refused {
		l.fail(at, `%q is of no use for file names: %s; write "auto", or ask who runs the server`, name, why)
		return ""
	}
	if canonical == "utf-8" {
		return canonical
	}
	return name
}

func unknownEncoding(name string) string {
	var near []string
	for distance := range 3 {
		for _, known := range encodingNames {
			if editDistance(name, known) == distance && len(near) < 4 {
				near = append(near, fmt.Sprintf("%q", known))
			}
		}
	}
	if len(near) > 0 {
		slices.Sort(near)
		return fmt.Sprintf("%q is not known (did you mean %s?)", name, strings.Join(near, " or "))
	}
	return fmt.Sprintf(`%q is not known: write "auto", "utf-8" or a name of the WHATWG encoding standard, such as %q, %q or %q`,
		name, "windows-1252", "shift_jis", "koi8-r")
}
