package config

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// login says whose secret is looked for.
type login struct {
	host       string // empty where the address is wrong
	user       string
	isUserOpen bool // nobody has said which user, so that the secret may come with one
}

// secretSource is a place that secrets come from.
type secretSource struct {
	name string
	has  func(rawSecret) bool
	// find returns the value, and what to say if others can read it there. An error is a sentence about the key, without its cause
	// where that may hold the secret.
	find func(l *loader, at key, noun string, file rawSecret, who login) (value, exposed string, err error)
}

var secretSources = []secretSource{
	{"env", func(s rawSecret) bool { return s.Env != "" }, fromEnvironment},
	{"file", func(s rawSecret) bool { return s.File != "" }, fromFile},
	{"credential", func(s rawSecret) bool { return s.Credential != "" }, fromCredential},
	{"command", func(s rawSecret) bool { return len(s.Command) > 0 }, fromCommand},
	{"netrc", func(s rawSecret) bool { return s.Netrc }, fromNetrc},
	{"keyring", func(s rawSecret) bool { return s.Keyring != "" }, fromKeyring},
}

// secret resolves the forms of a secret that a command carries; noun is what messages call it.
func (l *loader) secret(at key, noun string, file rawSecret, who login) Secret {
	value, exposed := l.resolve(at, noun, file, who)
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
func (l *loader) resolve(at key, noun string, file rawSecret, who login) (value, exposed string) {
	if l.faults[at.id()] {
		return "", ""
	}
	if file.literal != nil {
		if from := l.source(at); from.isShared {
			exposed = "the " + noun + " stands in a file that group or others can read: chmod 600 " + from.name
		}
		return *file.literal, exposed
	}
	var chosen []secretSource
	isFaulty := false
	for _, source := range secretSources {
		isFaulty = isFaulty || l.faults[at.child(source.name).id()]
		if source.has(file) {
			chosen = append(chosen, source)
		}
	}
	switch {
	case len(chosen) > 1:
		l.fail(at, "has both %s and %s: keep one of them", chosen[0].name, chosen[1].name)
	case len(chosen) == 0:
		if l.stands(at) && !isFaulty {
			l.fail(at, `the table says nowhere to look: write { file = "path" }, or one of env, credential, command, netrc and keyring`)
		}
	case file.User != "" && file.Keyring == "":
		l.fail(at.child("user"), "belongs to keyring alone: remove it")
	case l.withoutSecrets:
	default:
		value, exposed, err := chosen[0].find(l, at, noun, file, who)
		if err != nil {
			l.fail(at, "%s", err)
		}
		return value, exposed
	}
	return "", ""
}

// stands reports whether the key is written in a file.
func (l *loader) stands(at key) bool {
	_, ok := l.locations[at.id()]
	return ok
}

func fromEnvironment(l *loader, _ key, _ string, file rawSecret, _ login) (string, string, error) {
	value := l.env(file.Env)
	if value == "" {
		return "", "", fmt.Errorf("the environment variable %q is not set or empty", file.Env)
	}
	return value, "", nil
}

func fromFile(l *loader, at key, noun string, file rawSecret, _ login) (string, string, error) {
	path := l.path(at.child("file"), file.File)
	if path == "" {
		return "", "", nil
	}
	value, isShared, err := readSecret(path, noun+" file")
	if !isShared || err != nil {
		return value, "", err
	}
	return value, "group or others can read the " + noun + " file: chmod 600 " + path, nil
}

// readSecret returns what is in a file, without the end of the line.
func readSecret(path, noun string) (value string, isShared bool, err error) {
	content, isShared, err := readSmall(path)
	if err != nil {
		return "", false, fmt.Errorf("the %s %q cannot be read: %s", noun, path, reason(err))
	}
	text, isText := withoutMark(string(content)) // of editors on Windows
	if !isText {
		return "", false, fmt.Errorf("the %s %q is UTF-16 or no text at all: save it as UTF-8", noun, path)
	}
	if value = withoutLineEnd(text); value == "" {
		return "", false, fmt.Errorf("the %s %q is empty", noun, path)
	}
	return value, isShared, nil
}

func withoutLineEnd(text string) string {
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
}

// fromCredential reads what systemd hands to a service alone, see systemd.exec(5).
func fromCredential(l *loader, _ key, noun string, file rawSecret, _ login) (string, string, error) {
	name := file.Credential
	if !isName(name) || hasControl(name) {
		return "", "", fmt.Errorf("%q is not the name of a credential: write the one before the colon of LoadCredential=", name)
	}
	folder := l.env("CREDENTIALS_DIRECTORY")
	if folder == "" {
		return "", "", fmt.Errorf("$CREDENTIALS_DIRECTORY is not set, so there is no credential %q: it is there in a unit of systemd with "+
			"LoadCredential=%s:PATH or LoadCredentialEncrypted=, while that runs", name, name)
	}
	value, _, err := readSecret(filepath.Join(folder, name), noun+" credential")
	return value, "", err
}

// commandPatience is how long a command may take that tells a secret.
const commandPatience = 30 * time.Second

// fromCommand takes what a program prints. What it says besides is not repeated, as that may be the secret, too.
func fromCommand(l *loader, at key, _ string, file rawSecret, _ login) (string, string, error) {
	program := file.Command[0]
	if strings.TrimSpace(program) == "" {
		return "", "", errors.New(`names no program: write ["pass", "show", "acme"]`)
	}
	if strings.ContainsAny(program, `/\`) {
		if program = l.path(at.child("command"), program); program == "" {
			return "", "", nil
		}
	}
	value, err := l.output(program, file.Command[1:])
	switch {
	case err != nil:
		return "", "", fmt.Errorf("the program %q of command %w", program, err)
	case strings.ContainsRune(value, '\n'):
		return "", "", fmt.Errorf("the program %q of command prints more than one line: let it print the secret alone", program)
	case value == "":
		return "", "", fmt.Errorf("the program %q of command prints nothing", program)
	}
	return value, "", nil
}

// errOver is that nobody wants the configuration any more, see loader.over.
var errOver = errors.New("is not waited for")

func (l *loader) output(program string, arguments []string) (string, error) {
	select {
	case <-l.over:
		return "", errOver
	default:
	}
	var out limited
	cmd := exec.Command(program, arguments...)
	cmd.Stdout, cmd.WaitDelay = &out, time.Second
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool { // the secrets of others
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(l.secretVariables, name)
	})
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("cannot be run: %s", reasonOfLookup(err))
	}
	isLate, isOver := false, false
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-time.After(commandPatience):
		isLate = true
	case <-l.over:
		isOver = true
	}
	if isLate || isOver {
		_ = cmd.Process.Kill()
		err = <-done
	}
	switch exitError, hasExited := errors.AsType[*exec.ExitError](err); {
	case out.isFull:
		return "", errors.New("prints more than any secret has: let it print the secret alone")
	case isOver:
		return "", errOver
	case isLate:
		return "", fmt.Errorf("is not done after %s: nobody is there to answer a question", commandPatience)
	case hasExited:
		return "", fmt.Errorf("has failed (%s): run it by hand, as the user of the agent, to see why", exitError.ProcessState)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fmt.Errorf("has failed: %s", reason(err))
	}
	return withoutLineEnd(out.String()), nil
}

// limited takes more than any secret has, and then no more, which ends the program that writes.
type limited struct {
	strings.Builder
	isFull bool
}

func (b *limited) Write(text []byte) (int, error) {
	if b.isFull = b.isFull || b.Len()+len(text) > largestFile; b.isFull {
		return 0, errors.New("full")
	}
	return b.Builder.Write(text)
}

// hostOf is the host of HOST:PORT.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}
