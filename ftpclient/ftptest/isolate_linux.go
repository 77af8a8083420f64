package ftptest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// loginID is the user and group id under which servers in their own namespaces see the user that runs the tests.
const loginID = 64000

// launchScript runs as the first process of its namespaces. Its arguments are pairs of a path and what to lay over it,
// "--", and a command. It ends with the command or with its own standard input, and everything in the namespace with
// it: so no server outlives a test that is killed. The command can also write to its standard input, where vsftpd reports
// what is wrong with its configuration.
const launchScript = `
while [ "$1" != -- ]; do
	mount --bind "$2" "$1" || exit 1
	shift 2
done
shift
exec 3<&0
{ read -r line <&3; kill -KILL -1; } &
"$@" 3<&- 0>&1 &
wait $!
`

// isolate returns a command that runs inside its own user, mount and process namespaces. There the user that runs the
// tests is no longer root but a plain user with the id loginID: a login under that id can do with the files of a test
// just what their modes say, and both sides can remove each other's files. overlays maps paths to files or folders that
// are seen in their place, such as our own /etc/passwd.
func isolate(overlays map[string]string, argv ...string) *exec.Cmd {
	// mount is set-user-id, and the owner of that file has no rights inside; setpriv makes the bit void.
	command := exec.Command("setpriv", append([]string{"--no-new-privs", "/bin/sh"}, launchArguments(overlays, argv)...)...)
	swapped := []syscall.SysProcIDMap{
		{ContainerID: 0, HostID: loginID, Size: 1},
		{ContainerID: 1, HostID: 1, Size: loginID - 1},
		{ContainerID: loginID, HostID: 0, Size: 1},
		{ContainerID: loginID + 1, HostID: loginID + 1, Size: 1<<16 - loginID - 1},
	}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		UidMappings:                swapped,
		GidMappings:                swapped,
		GidMappingsEnableSetgroups: true,
		Credential:                 &syscall.Credential{Uid: 0, Gid: 0},
	}
	return command
}

// launchArguments are those of the shell.
func launchArguments(overlays map[string]string, argv []string) []string {
	args := []string{"-c", launchScript, "launch"}
	for path, overlay := range overlays {
		args = append(args, path, overlay)
	}
	return append(append(args, "--"), argv...)
}

func probeNamespaces() error {
	if err := probeRoot(); err != nil {
		return err
	}
	// Without an open standard input the namespace would end at once.
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	defer writer.Close()
	command := isolate(nil, "true")
	command.Stdin = reader
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("not allowed here; run the tests outside of containers or in a privileged one (%w) %s", err, output)
	}
	return nil
}
