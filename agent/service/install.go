package service

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	manager "github.com/kardianos/service"
)

// name is that of the service, everywhere.
const name = "ftpferry"

// Install is what a service is made of.
type Install struct {
	Program, Config string // absolute paths
	// User is who the service runs as. "" is, with systemd, a user that owns nothing but the state, and else the system itself.
	User string
	// Folders are what the agent works with, the state among them if it is not where the service manager keeps it.
	Folders []Folder
}

// Folder is one that a service needs. One that is only read need not exist.
type Folder struct {
	Path  string
	Write bool // files are made or changed there
}

// StateFolder is where systemd keeps the state of the service.
const StateFolder = "/var/lib/ftpferry"

// Environment returns the variables that the service is going to have on this system, so that its configuration can be
// checked before. Those of the caller count where the system has no file for them.
func Environment(env func(string) string) (func(string) string, error) {
	if runtime.GOOS != "linux" {
		return env, nil
	}
	return environmentOf(environmentFile, credentialsFolder)
}

func environmentOf(file, credentials string) (func(string) string, error) {
	values, err := readEnvironment(file)
	if err != nil {
		return nil, fmt.Errorf("variables of the service: %w", err)
	}
	values["STATE_DIRECTORY"], values["CREDENTIALS_DIRECTORY"] = StateFolder, credentials
	return func(variable string) string { return values[variable] }, nil
}

// WithSecrets returns env with the secrets of the service for what is not set, as far as the caller may read them: so that root can
// use all commands without having them in the shell.
func WithSecrets(env func(string) string) func(string) string {
	return withSecrets(env, environmentFile, credentialsFolder)
}

func withSecrets(env func(string) string, file, credentials string) func(string) string {
	return func(variable string) string {
		if value := env(variable); value != "" {
			return value
		}
		if variable == "CREDENTIALS_DIRECTORY" {
			if _, err := os.ReadDir(credentials); err == nil {
				return credentials
			}
			return ""
		}
		values, err := readEnvironment(file)
		if err != nil {
			return "" // somebody else's
		}
		return values[variable]
	}
}

// readEnvironment reads lines NAME=VALUE as systemd does, but for continued lines and escapes. No file is no variables.
func readEnvironment(file string) (map[string]string, error) {
	values := map[string]string{}
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		variable, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if value = strings.TrimSpace(value); len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		values[strings.TrimSpace(variable)] = value
	}
	return values, nil
}

// Unit is the systemd unit of the service.
func (i Install) Unit() (Unit, error) {
	u := Unit{Program: i.Program, Config: i.Config, User: i.User}
	for _, f := range i.Folders {
		if f.Path != StateFolder {
			u.Writable = append(u.Writable, f.Path)
		}
	}
	var err error
	u.Credentials, err = credentialLines(credentialsFolder)
	return u, err
}

// credentialLines has systemd hand over each file of the folder. No folder is no credentials.
func credentialLines(folder string) (lines []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("credentials of the service: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			lines = append(lines, e.Name()+":"+filepath.Join(folder, e.Name()))
		}
	}
	return lines, nil
}

// ErrNotInstalled: the service manager does not know the service.
var ErrNotInstalled = errors.New("the service is not installed")

// ErrNoManager: this system has no service manager that could be used.
var ErrNoManager = errors.New("no service manager")

// checkManager returns ErrNoManager, with what can be done instead.
func checkManager() error {
	if runtime.GOOS == "linux" {
		// As sd_booted(3) has it.
		if info, err := os.Stat("/run/systemd/system"); err != nil || !info.IsDir() {
			return fmt.Errorf("%w: systemd does not run here (there is no /run/systemd/system). In a container let \"ftpferry run\" be its process; for other "+
				"service managers have it run in the foreground. \"ftpferry service install --print\" prints the unit for systemd", ErrNoManager)
		}
	}
	if manager.ChosenSystem() == nil {
		return fmt.Errorf("%w: none is known for %s; have \"ftpferry run\" run in the foreground", ErrNoManager, runtime.GOOS)
	}
	return nil
}

// Do installs the service so that it starts with the machine. It does not start it. done says what was made, for people.
func (i Install) Do() (done string, err error) {
	if err := checkManager(); err != nil {
		return "", err
	}
	if err := i.check(); err != nil {
		return "", err
	}
	options := manager.KeyValue{"RunAtLoad": true, "OnFailure": "restart", "OnFailureDelayDuration": "10s"}
	if runtime.GOOS == "linux" {
		unit, err := i.Unit()
		if err != nil {
			return "", err
		}
		text, err := unit.Render()
		if err != nil {
			return "", err
		}
		if err := removeOwnUnit(unitFile); err != nil {
			return "", err
		}
		options["SystemdScript"] = text
		done = unitFile
	}
	s, err := of(i, options)
	if err != nil {
		return "", err
	}
	if err := s.Install(); err != nil {
		return "", fmt.Errorf("install the service: %w", err)
	}
	if done == "" {
		done = "service " + name + " (" + s.Platform() + ")"
	}
	return done, nil
}

// unitFile is where the unit of an administrator stands; packages have theirs elsewhere.
const unitFile = "/etc/systemd/system/" + name + ".service"

// checkOwnUnit returns an error if the unit was not written by this program. It may be os.ErrNotExist, too.
func checkOwnUnit(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(text), "# "+unitOrigin) {
		return fmt.Errorf("%s is there and was not written by \"ftpferry service install\": remove it, or copy from \"ftpferry service install --print\" what you need", path)
	}
	return nil
}

// removeOwnUnit makes place for a new unit, but only if the one that is there was written by this program.
func removeOwnUnit(path string) error {
	switch err := checkOwnUnit(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return os.Remove(path)
}

// Uninstall stops the service and takes it away. State and configuration stay.
func Uninstall() error {
	if err := checkManager(); err != nil {
		return err
	}
	s, err := of(Install{}, nil)
	if err != nil {
		return err
	}
	if runtime.GOOS == "linux" {
		switch err := checkOwnUnit(unitFile); {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%w: there is no %s; a unit of a package goes with the package", ErrNotInstalled, unitFile)
		case err != nil:
			return err
		}
	}
	status, err := s.Status()
	if errors.Is(err, manager.ErrNotInstalled) {
		return ErrNotInstalled
	}
	if status == manager.StatusRunning {
		if err := s.Stop(); err != nil {
			return fmt.Errorf("stop the service: %w", err)
		}
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("uninstall the service: %w", err)
	}
	if runtime.GOOS == "linux" {
		forgetFailure()
	}
	return nil
}

// Running reports whether the service runs; it may be ErrNotInstalled or ErrNoManager, too. reason says why it does not run, or what
// is odd about it, if that is known.
func Running() (running bool, reason string, err error) {
	if err := checkManager(); err != nil {
		return false, "", err
	}
	if runtime.GOOS == "linux" {
		return unitRuns()
	}
	s, err := of(Install{}, nil)
	if err != nil {
		return false, "", err
	}
	status, err := s.Status()
	switch {
	case errors.Is(err, manager.ErrNotInstalled):
		return false, "", ErrNotInstalled
	case err != nil:
		return false, err.Error(), nil
	}
	return status == manager.StatusRunning, "", nil
}

// of is the service as the library of service managers has it.
func of(i Install, options manager.KeyValue) (manager.Service, error) {
	s, err := manager.New(managed{}, &manager.Config{
		Name: name, DisplayName: name, Description: "Keeps folders and FTP servers in step",
		Executable: i.Program, Arguments: []string{"-c", i.Config, "run"}, UserName: i.User, Option: options,
	})
	if err != nil {
		return nil, fmt.Errorf("service manager: %w", err)
	}
	return s, nil
}
