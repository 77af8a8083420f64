package config

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
)

// Find returns the path of the configuration file: explicit (of -c) if given, else $FTPFERRY_CONFIG, else the first that
// exists of $XDG_CONFIG_HOME/ftpferry/agent.toml (~/.config when not set) and /etc/ftpferry/agent.toml; on Windows
// %AppData%\ftpferry\agent.toml and %ProgramData%\ftpferry\agent.toml. A file that was named is returned even if it does
// not exist, since it must not be replaced by another; [Load] then says so. An error is an [*Error] and lists where it looked.
func Find(explicit string, env func(string) string) (string, error) {
	if explicit != "" {
		return explicit, nil
	}
	if named := env("FTPFERRY_CONFIG"); named != "" {
		return named, nil
	}
	places := searchPaths(runtime.GOOS, env)
	for _, place := range places {
		// Whatever is there, readable or not, is the one: an unreadable file must not lead to another configuration.
		if _, err := os.Stat(place); !errors.Is(err, os.ErrNotExist) {
			return place, nil
		}
	}
	_, err := os.Stat("agent.toml")
	return "", noConfiguration(places, err == nil)
}

// noConfiguration says what to do; here: the folder of the caller has one.
func noConfiguration(places []string, here bool) *Error {
	cure := `"ftpferry init" writes one`
	if here {
		cure = "to take the one in this folder: -c agent.toml"
	}
	return &Error{[]Problem{{Text: "no configuration: there is no " + strings.Join(places, " and no ") +
		", and neither -c nor $FTPFERRY_CONFIG names a file; " + cure}}}
}

func searchPaths(system string, env func(string) string) []string {
	const name = "ftpferry/agent.toml"
	personal, shared := env("XDG_CONFIG_HOME"), "/etc"
	if system == "windows" {
		personal, shared = env("AppData"), programData(env)
	} else if !filepath.IsAbs(personal) { // the XDG specification has relative paths ignored
		personal = ""
		if home := env("HOME"); home != "" {
			personal = filepath.Join(home, ".config")
		}
	}
	if personal == "" {
		return []string{filepath.Join(shared, name)}
	}
	return []string{filepath.Join(personal, name), filepath.Join(shared, name)}
}

// DefaultStateDir is where the state is kept when state_dir is not set: $STATE_DIRECTORY (given by systemd), else
// $XDG_STATE_HOME/ftpferry, else /var/lib/ftpferry for root and ~/.local/state/ftpferry for others; on Windows
// %ProgramData%\ftpferry.
func DefaultStateDir(env func(string) string) (string, error) {
	return defaultStateDir(runtime.GOOS, os.Geteuid() == 0, env)
}

func defaultStateDir(system string, isRoot bool, env func(string) string) (string, error) {
	// systemd joins several directories of a unit with colons; the first is ours.
	if first, _, _ := strings.Cut(env("STATE_DIRECTORY"), ":"); system != "windows" && filepath.IsAbs(first) {
		return filepath.Clean(first), nil
	}
	if system == "windows" {
		return filepath.Join(programData(env), "ftpferry"), nil
	}
	if stateHome := env("XDG_STATE_HOME"); filepath.IsAbs(stateHome) {
		return filepath.Join(stateHome, "ftpferry"), nil
	}
	if isRoot {
		return "/var/lib/ftpferry", nil
	}
	home := env("HOME")
	if home == "" {
		if account, err := user.Current(); err == nil {
			home = account.HomeDir
		}
	}
	if !filepath.IsAbs(home) {
		return "", errors.New("cannot be guessed, because $HOME is not set: write an absolute path")
	}
	return filepath.Join(home, ".local/state/ftpferry"), nil
}

func programData(env func(string) string) string {
	if folder := env("ProgramData"); folder != "" {
		return folder
	}
	return `C:\ProgramData`
}
