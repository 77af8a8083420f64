package ftptest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// RequireVariable names the environment variable that turns missing needs from skips into failures: "all", or names of
// needs joined by commas.
const RequireVariable = "FTPFERRY_REQUIRE"

// ServersVariable names the environment variable with a folder of unpacked servers, one folder each: NAME/usr/sbin/NAME
// or NAME/usr/bin/NAME.
const ServersVariable = "FTPFERRY_SERVERS"

// needs holds what is more than a program in the path. A probe's error says what is missing and how to get it. Probes
// that start a process or mount something do so once: hundreds of tests ask.
var needs = map[string]func() error{
	"root":       probeRoot,
	"namespaces": sync.OnceValue(probeNamespaces),
	"netns":      sync.OnceValue(probeNetworkNamespaces),
	"deaf port":  probeDeafPort,
	"IPv6":       probeIPv6,
	"tmpfs":      sync.OnceValue(probeTmpfs),
	"fuse":       probeFUSE,
	"pyftpdlib": func() error {
		_, err := findPython()
		return err
	},
}

// Need skips the test unless what it needs is here: one of [RealServers], "root", "namespaces" (Linux user, mount and
// process namespaces), "netns" (network namespaces, see [Lab]), "deaf port" (see [DeafPort]), "IPv6" (on loopback),
// "tmpfs" (see [Tmpfs]), "fuse" (to serve a file system), or any program by its name, such as "strace" or "chromium". Where the variable [RequireVariable] asks for it, the test fails instead.
func Need(t testing.TB, what string) {
	t.Helper()
	if err := probe(what); err != nil {
		missing(t, what, err, os.Getenv(RequireVariable))
	}
}

// missing is apart from [Need] so that a test can see what it does.
func missing(t testing.TB, what string, err error, required string) {
	t.Helper()
	names := strings.Split(required, ",")
	if slices.Contains(names, "all") || slices.Contains(names, what) {
		t.Fatalf("need %s: %v", what, err)
	}
	t.Skipf("need %s: %v", what, err)
}

func probeRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("not running as root; run the tests as root to include it")
	}
	return nil
}

func probeFUSE() error {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("no FUSE: %w; on Linux, as root, modprobe fuse brings it", err)
	}
	return device.Close()
}

func probeIPv6() error {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return fmt.Errorf("no IPv6 loopback: %w; on Linux, sysctl net.ipv6.conf.lo.disable_ipv6=0 switches it on", err)
	}
	return listener.Close()
}

func probe(what string) error {
	if special, ok := needs[what]; ok {
		return special()
	}
	_, err := findProgram(what)
	return err
}

// program is an executable file and, where it was unpacked and not installed, the folders of the libraries unpacked with
// it, in the form of LD_LIBRARY_PATH.
type program struct {
	path      string
	libraries string
}

// findProgram looks into the folders of unpacked servers first, so that tests run the version that was fetched for them.
func findProgram(name string) (program, error) {
	for _, folder := range serverFolders() {
		root := filepath.Join(folder, name)
		path, err := lookIn(root, name)
		if err != nil {
			continue
		}
		var libraries []string
		for _, pattern := range []string{"usr/lib/*-linux-gnu*", "lib/*-linux-gnu*"} {
			found, err := filepath.Glob(filepath.Join(root, pattern))
			if err != nil {
				return program{}, fmt.Errorf("libraries of %s: %w", path, err)
			}
			libraries = append(libraries, found...)
		}
		return program{path: path, libraries: strings.Join(libraries, ":")}, nil
	}
	// By $PATH, which often lacks the last two for plain users.
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return program{path: path}, nil
		}
	}
	return program{}, errors.New(`not found; "bash .ci/run deps" fetches it`)
}

// lookIn finds the program in the places that packages use for those of administrators.
func lookIn(root, name string) (path string, err error) {
	for _, folder := range []string{"usr/sbin", "usr/bin", "sbin", "bin"} {
		if path, err = exec.LookPath(filepath.Join(root, folder, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// findPython returns a Python that has pyftpdlib and OpenSSL: the distribution's own one first, since the one in $PATH
// may be another that does not see the distribution's packages.
var findPython = sync.OnceValues(func() (string, error) {
	for _, candidate := range []string{"/usr/bin/python3", "python3"} {
		path, err := exec.LookPath(candidate)
		if err != nil {
			continue
		}
		if exec.Command(path, "-c", "import pyftpdlib.handlers, OpenSSL").Run() == nil {
			return path, nil
		}
	}
	return "", errors.New(`not found; "bash .ci/run deps" fetches it`)
})

// serverFolders returns the folders that hold unpacked servers, best first; some may not exist.
func serverFolders() []string {
	var folders []string
	if folder := os.Getenv(ServersVariable); folder != "" {
		folders = append(folders, folder)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return folders
		}
		cache = filepath.Join(home, ".cache")
	}
	return append(folders, filepath.Join(cache, "ftpferry", "servers"))
}
