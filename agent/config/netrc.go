package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
)

// netrcEntry is what a .netrc says of a machine.
type netrcEntry struct {
	machine                  string // empty: default
	login, password, account string
}

// fromNetrc takes the first entry for the host and the user, as ftp(1) does, else the default.
func fromNetrc(l *loader, at key, noun string, _ rawSecret, who login) (string, string, error) {
	if unfit := map[string]string{"proxy": "proxies", "listen_token": "tokens"}[at[len(at)-1]]; unfit != "" {
		return "", "", errors.New("a .netrc holds no " + unfit + ": write one of env, file, credential, command and keyring")
	}
	path, entry, isShared, err := l.netrc(who)
	if err != nil {
		return "", "", err
	}
	value := entry.password
	if noun == "account" {
		value = entry.account
	}
	if value == "" {
		return "", "", fmt.Errorf("the entry for %s in %q has no %s", who.host, path, noun)
	}
	if isShared {
		return value, "group or others can read the passwords in " + path + ": chmod 600 " + path, nil
	}
	return value, "", nil
}

// netrc finds the entry for a login in $NETRC or ~/.netrc.
func (l *loader) netrc(who login) (path string, entry netrcEntry, isShared bool, err error) {
	if path = l.env("NETRC"); path == "" {
		if path, err = l.netrcAtHome(); err != nil {
			return "", entry, false, err
		}
	}
	content, isShared, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, entry, false, fmt.Errorf("there is no %q: make it, or name another one by $NETRC", path)
	}
	if err != nil {
		return path, entry, false, fmt.Errorf("%q cannot be read: %s", path, reason(err))
	}
	text, _ := withoutMark(string(content))
	for _, entry := range parseNetrc(text) {
		isMachine := entry.machine == "" || strings.EqualFold(entry.machine, who.host)
		if isMachine && (who.isUserOpen || entry.login == "" || entry.login == who.user) {
			return path, entry, isShared, nil
		}
	}
	of := ""
	if !who.isUserOpen {
		of = fmt.Sprintf(" with login %s", who.user)
	}
	return path, entry, false, fmt.Errorf(`%q has no entry for this server: add "machine %s"%s and password, or a default`, path, who.host, of)
}

func (l *loader) netrcAtHome() (string, error) {
	home, name := l.env("HOME"), ".netrc"
	if runtime.GOOS == "windows" {
		home, name = l.env("USERPROFILE"), "_netrc"
	}
	if account, err := user.Current(); home == "" && err == nil {
		home = account.HomeDir
	}
	if !filepath.IsAbs(home) {
		return "", errors.New("where the .netrc is cannot be guessed, because $HOME is not set: name the file by $NETRC")
	}
	return filepath.Join(home, name), nil
}

// parseNetrc reads the entries in their order, up to the default one, behind which none counts. Macros are passed over. What it
// does not know is passed over too, as other programs have keys of their own.
func parseNetrc(text string) (entries []netrcEntry) {
	for words := (netrcWords{text}); ; {
		word, ok := words.next()
		if !ok {
			return entries
		}
		var current *netrcEntry
		if len(entries) > 0 {
			current = &entries[len(entries)-1]
		}
		if strings.HasPrefix(word, "#") { // a comment, where no value is due: passwords may begin so
			_, words.rest, _ = strings.Cut(words.rest, "\n")
			continue
		}
		switch word {
		case "machine":
			machine, _ := words.next()
			entries = append(entries, netrcEntry{machine: machine})
		case "default":
			entries = append(entries, netrcEntry{})
		case "macdef":
			words.skipMacro()
		case "login", "password", "account":
			value, _ := words.next()
			if current == nil {
				continue
			}
			*map[string]*string{"login": &current.login, "password": &current.password, "account": &current.account}[word] = value
		}
	}
}

type netrcWords struct{ rest string }

// next returns a word, which may stand in double quotes with backslashes, as curl and Python have it.
func (w *netrcWords) next() (string, bool) {
	w.rest = strings.TrimLeft(w.rest, " \t\r\n")
	if w.rest == "" {
		return "", false
	}
	var word strings.Builder
	isQuoted := w.rest[0] == '"'
	i := 0
	if isQuoted {
		i = 1
	}
	for ; i < len(w.rest); i++ {
		c := w.rest[i]
		if isQuoted && c == '"' {
			i++
			break
		}
		if !isQuoted && strings.IndexByte(" \t\r\n", c) >= 0 {
			break
		}
		if isQuoted && c == '\\' && i+1 < len(w.rest) {
			i++
			c = w.rest[i]
		}
		word.WriteByte(c)
	}
	w.rest = w.rest[i:]
	return word.String(), true
}

// skipMacro moves behind the next empty line.
func (w *netrcWords) skipMacro() {
	_, w.rest, _ = strings.Cut(strings.ReplaceAll(w.rest, "\r\n", "\n"), "\n\n")
}
