//go:build unix

package service

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// madeUp is the number of a user as systemd makes them up: one that owns nothing.
const madeUp = 61184

// temporary folders are another's than everybody else's for the service.
var temporary = []string{"/tmp", "/var/tmp"}

// check makes sure that the service can be installed, and that it will get at all that it needs.
func (i Install) check() error {
	if os.Geteuid() != 0 {
		return errors.New("only root can do that: sudo ftpferry service install")
	}
	if slices.ContainsFunc(append(temporary, "/home", "/root", "/run/user"), func(f string) bool { return below(i.Program, f) }) {
		return fmt.Errorf("the service cannot start %s there: sudo install -m 755 %s /usr/local/bin/, then run /usr/local/bin/ftpferry service install", i.Program, i.Program)
	}
	var problems []error
	for _, path := range append([]Folder{{Path: i.Config}}, i.Folders...) {
		if slices.ContainsFunc(temporary, func(f string) bool { return below(path.Path, f) }) {
			problems = append(problems, fmt.Errorf("%s: the service has folders for temporary files of its own and does not see this one", path.Path))
		}
	}
	for _, f := range i.Folders {
		// What is not there when the service starts stays read-only for it, so that it cannot make it either.
		if _, err := os.Stat(f.Path); errors.Is(err, os.ErrNotExist) && f.Write && !below(f.Path, StateFolder) {
			problems = append(problems, fmt.Errorf("%s does not exist, and the service cannot make it: mkdir %[1]s, and let %s write there", f.Path, i.who()))
		}
	}
	who, err := credentialOf(i.User)
	if err != nil {
		return err
	}
	if who.Uid == 0 {
		return errors.Join(problems...)
	}
	if err := access(who, i.Config, "-r"); err != nil {
		problems = append(problems, fmt.Errorf("%s cannot read %s: %w", i.who(), i.Config, i.configCure()))
	}
	for _, f := range i.Folders {
		if _, err := os.Stat(f.Path); errors.Is(err, os.ErrNotExist) || f.Path == StateFolder {
			continue
		}
		wants, word := []string{"-r", "-x"}, "read"
		if f.Write {
			wants, word = append(wants, "-w"), "write"
		}
		if err := access(who, f.Path, wants...); err != nil {
			problems = append(problems, fmt.Errorf("%s cannot %s %s: let it, or run as a user who can%s", i.who(), word, f.Path, ownerOf(f.Path)))
		}
	}
	return errors.Join(problems...)
}

func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func (i Install) who() string {
	if i.User == "" {
		return "the service's own user"
	}
	return "user " + i.User
}

func (i Install) configCure() error {
	if i.User == "" {
		return fmt.Errorf("chmod 644 %s, with no password in it (see \"Secrets\" in the README), or give --user", i.Config)
	}
	return fmt.Errorf("chown root:%s %s && chmod 640 %s", groupOf(i.User), i.Config, i.Config)
}

func groupOf(name string) string {
	if u, err := user.Lookup(name); err == nil {
		if g, err := user.LookupGroupId(u.Gid); err == nil {
			return g.Name
		}
	}
	return name
}

// ownerOf suggests the owner of the folder.
func ownerOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if u, err := user.LookupId(strconv.Itoa(int(stat.Uid))); err == nil {
			return ", such as its owner: --user " + u.Username
		}
	}
	return ""
}

func credentialOf(name string) (*syscall.Credential, error) {
	if name == "" {
		return &syscall.Credential{Uid: madeUp, Gid: madeUp}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("--user: there is no user %q; sudo useradd --system --home-dir /var/lib/ftpferry --shell /usr/sbin/nologin %s makes one", name, name)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("--user: groups of %s: %w", name, err)
	}
	c := &syscall.Credential{}
	for _, g := range groups {
		if number, err := strconv.ParseUint(g, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(number))
		}
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	c.Uid, c.Gid = uint32(uid), uint32(gid)
	return c, errors.Join(uidErr, gidErr)
}

// access asks the system itself, as that user: permissions, lists of access and mounts all have their say.
func access(who *syscall.Credential, path string, wants ...string) error {
	test, err := exec.LookPath("test")
	if err != nil {
		return nil // nobody to ask
	}
	for _, want := range wants {
		command := exec.Command(test, want, filepath.Clean(path))
		command.Dir, command.SysProcAttr = "/", &syscall.SysProcAttr{Credential: who}
		if err := command.Run(); err != nil {
			return err
		}
	}
	return nil
}
