package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// asProgram makes the test binary be the program itself.
const asProgram = "FTPFERRY_TEST_AS_PROGRAM"

// kills is how often the program is killed for each server and direction.
const kills = 20

// TestKilledAtAnyTime kills the program with SIGKILL while a tree changes, at random times, and
// then lets it finish: both sides must be equal, nothing torn may ever have been visible, and no
// temporary file may be left.
func TestKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+"/"+direction, func(t *testing.T) {
				t.Parallel()
				seed := uint64(time.Now().UnixNano())
				t.Logf("seed %d", seed)
				killLoop(t, name, direction, rand.New(rand.NewPCG(seed, 0)))
			})
		}
	}
}

func killLoop(t *testing.T, name, direction string, random *rand.Rand) {
	server := ftptest.Real(t, name, ftptest.RealOptions{})
	dir := t.TempDir()
	local, remote := filepath.Join(dir, "local"), filepath.Join(server.Root, "site")
	for _, path := range []string{local, remote} {
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, 0o777)
	}
	config := filepath.Join(dir, "agent.toml")
	write(t, config, fmt.Sprintf(`
[agent]
state_dir = %q
shutdown_grace = "1s"
[server.real]
address = %q
user = %q
password = %q
tls = "none"
connections = 3
[sync.s]
server = "real"
local = %q
remote = %q
direction = %q
delete = true
max_delete = "100%%"
settle = "0s"
`, filepath.Join(dir, "state"), server.Addr, server.User, server.Password, local, server.RemoteRoot+"/site", direction))

	source, target := local, remote
	if direction == "down" {
		source, target = remote, local
	}
	history := &contents{seen: map[string]map[string]bool{}}
	for i := range kills {
		history.churn(t, source, random)
		program := start(t, config, "once")
		// Passes take some tens of milliseconds to some seconds: spread the kills over all of it.
		time.Sleep(time.Duration(random.Int64N(int64(50*time.Millisecond) << (i % 5))))
		program.Process.Kill()
		program.Wait()
		history.check(t, target)
		if t.Failed() {
			return
		}
	}
	for attempt := 1; ; attempt++ {
		out, err := start(t, config, "once", "-v").output(t)
		if err == nil {
			break
		}
		if attempt == 3 {
			t.Fatalf("the pass after the last kill: %v\n%s", err, out)
		}
	}
	if diff := cmp.Diff(hashes(t, local), hashes(t, remote)); diff != "" {
		t.Errorf("local (-) and remote (+) differ after the last pass:\n%s", diff)
	}
	out, err := start(t, config, "plan").output(t)
	if err != nil || !strings.Contains(out, "nothing to do") {
		t.Errorf("plan after the last pass: %v\n%s", err, out)
	}
	db, err := state.Open(filepath.Join(dir, "state", stateFile), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(queue.Check); err != nil {
		t.Errorf("indexes of the queue: %v", err)
	}
}

// contents knows every content that each path ever had at the source.
type contents struct {
	seen    map[string]map[string]bool
	counter int
}

// churn changes some files below root.
func (c *contents) churn(t *testing.T, root string, random *rand.Rand) {
	for range 3 + random.IntN(12) {
		c.counter++
		rel := fmt.Sprintf("f%d/g%d/file %d.bin", random.IntN(3), random.IntN(3), random.IntN(12))
		path := filepath.Join(root, rel)
		switch random.IntN(10) {
		case 0:
			os.Remove(path)
			continue
		case 1:
			os.RemoveAll(filepath.Dir(path))
			continue
		}
		sizes := []int{0, 1, 1000, 100_000, 3_000_000}
		// No two versions have the same size: with settle = "0s", two of one size within a
		// second are not to be told apart by what a server shows.
		text := strings.Repeat(fmt.Sprintf("%08d", c.counter), sizes[random.IntN(len(sizes))]/8+1) + strings.Repeat(".", c.counter)
		os.MkdirAll(filepath.Dir(path), 0o777)
		for dir := filepath.Dir(path); len(dir) > len(root); dir = filepath.Dir(dir) {
			os.Chmod(dir, 0o777)
		}
		// In one step, as a program that cares for its readers does: what is torn is our doing then.
		temp := path + ".new"
		write(t, temp, text)
		os.Chmod(temp, 0o666)
		if err := os.Rename(temp, path); err != nil {
			t.Fatal(err)
		}
		if c.seen[rel] == nil {
			c.seen[rel] = map[string]bool{}
		}
		c.seen[rel][digest([]byte(text))] = true
	}
}

// check looks at the target: every file under a final name has a content that its source had.
func (c *contents) check(t *testing.T, root string) {
	t.Helper()
	for rel, sum := range hashes(t, root) {
		if !strings.HasSuffix(rel, "/") && !strings.Contains(rel, ".ftpferry-") && !c.seen[rel][sum] {
			t.Errorf("%s has a content at the target that it never had at the source", rel)
		}
	}
}

func digest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// hashes maps each path below root to the hash of its content; folders end in a slash.
func hashes(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // the server is still at work
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			found[rel+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			found[rel] = digest(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

type process struct {
	*exec.Cmd
	out *strings.Builder
}

// start runs the program in a process of its own.
func start(t *testing.T, config string, arguments ...string) process {
	t.Helper()
	p := process{command(t, config, arguments...), &strings.Builder{}}
	p.Stdout, p.Stderr = p.out, p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

// command is the program with its arguments, not started yet.
func command(t *testing.T, config string, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, append([]string{"-c", config}, arguments...)...)
	c.Env = append(os.Environ(), asProgram+"=1")
	return c
}

func (p process) output(t *testing.T) (string, error) {
	t.Helper()
	err := p.Wait()
	return p.out.String(), err
}
