package config

import "strings"

// secret resolves the forms of a secret that a command carries; noun is what messages call it.
func (l *loader) secret(at key, noun string, file rawSecret) Secret {
	value, exposed := l.resolve(at, noun, file)
	if exposed != "" && value != "" {
		l.warn(at, "%s", exposed)
	}
	// A line break would end the command, and what follows would be a command of its own.
	if hasControl(value) {
		l.fail(at, "the %s contains a control character, such as a line break; FTP cannot send it", noun)
	}
	return NewSecret(value)
}

// resolve returns the value, and what to say if it is a secret and others can read where it stands, or "".
func (l *loader) resolve(at key, noun string, file rawSecret) (value, exposed string) {
	switch {
	case l.faults[at.id()]:
	case file.literal != nil:
		if from := l.source(at); from.isShared {
			exposed = "the " + noun + " stands in a file that group or others can read: chmod 600 " + from.name
		}
		return *file.literal, exposed
	case file.Env != "" && file.File != "":
		l.fail(at, "has both env and file: keep one of them")
	case file.Env != "":
		if value = l.env(file.Env); value == "" {
			l.fail(at, "the environment variable %q is not set or empty", file.Env)
		}
	case file.File != "":
		path := l.path(at.child("file"), file.File)
		if path == "" {
			return "", ""
		}
		content, shared, err := readSmall(path)
		if err != nil {
			l.fail(at, "the %s file %q cannot be read: %s", noun, path, reason(err))
			return "", ""
		}
		if shared {
			exposed = "group or others can read the " + noun + " file: chmod 600 " + path
		}
		if value = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"); value == "" {
			l.fail(at, "the %s file %q is empty", noun, path)
		}
	case l.stands(at): // and holds no plain value
		if !l.faults[at.child("env").id()] && !l.faults[at.child("file").id()] {
			l.fail(at, `the table needs env or file: { env = "NAME" } or { file = "path" }`)
		}
	}
	return value, exposed
}

// stands reports whether the key is written in a file.
func (l *loader) stands(at key) bool {
	_, ok := l.locations[at.id()]
	return ok
}
