package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// said is what a server said, and what that means.
type said struct {
	sentence string
	op       string // "connect" and "login" are different from all others
	command  string
	code     int
	text     string
	class    Class
	is       error // nil for none of those of io/fs
	path     string
}

// wholePath is the path that most of the texts are about.
const wholePath = "/none/x"

var replyTests = []struct {
	server  string
	replies []said
}{
	{"vsftpd", []said{ // 3.0.3, all seen
		{"a missing file is not told from others", "retrieve", "RETR", 550, "Failed to open file.", ClassPermanent, nil, ""},
		{"nor is a missing parent", "store", "STOR", 553, "Could not create file.", ClassPermanent, nil, ""},
		{"nor a missing folder", "change folder", "CWD", 550, "Failed to change directory.", ClassPermanent, nil, ""},
		{"nor an existing folder", "make folder", "MKD", 550, "Create directory operation failed.", ClassPermanent, nil, ""},
		{"nor a folder with files", "remove folder", "RMD", 550, "Remove directory operation failed.", ClassPermanent, nil, ""},
		{"nor a file that may not be deleted", "remove", "DELE", 550, "Delete operation failed.", ClassPermanent, nil, ""},
		{"nor a name that is taken", "rename", "RNTO", 550, "Rename failed.", ClassPermanent, nil, ""},
		{"nor a size", "size", "SIZE", 550, "Could not get file size.", ClassPermanent, nil, ""},
		{"commands can be forbidden", "store", "STOR", 550, "Permission denied.", ClassPermanent, fs.ErrPermission, ""},
		{"the password is wrong", "login", "PASS", 530, "Login incorrect.", ClassAuthentication, nil, ""},
		{"the server is full", "connect", "", 421, "There are too many connected users, please try later.", ClassBusy, nil, ""},
		{"this host has enough", "connect", "", 421, "There are too many connections from your internet address.", ClassBusy, nil, ""},
		{"TLS is a must", "login", "USER", 530, "Non-anonymous sessions must use encryption.", ClassSetup, nil, ""},
		{"TLS is a must for data", "list", "LIST", 522, "Data connections must be encrypted.", ClassSetup, nil, ""},
		{"the session is to be resumed", "store", "STOR", 522, "SSL connection failed: session reuse required", ClassSetup, nil, ""},
		{"the configuration is odd", "login", "PASS", 500, "OOPS: vsftpd: refusing to run with writable root inside chroot()", ClassUnavailable, nil, ""},
		{"the session was idle for too long", "noop", "", 421, "Timeout.", ClassConnection, nil, ""},
		{"the data connection was cut", "store", "STOR", 426, "Failure reading network stream.", ClassConnection, nil, ""},
		{"data come from elsewhere", "list", "LIST", 425, "Security: Bad IP connecting.", ClassSetup, nil, ""},
		{"nobody connects", "list", "LIST", 425, "Failed to establish connection.", ClassConnection, nil, ""},
		{"EPSV of a protocol nobody has", "list", "EPSV", 522, "Bad network protocol.", ClassSetup, nil, ""},
		{"a file cannot be written, for whatever reason", "store", "STOR", 451, "Failure writing to local file.", ClassLater, nil, ""},
		{"the line is too long", "store", "STOR", 500, "Input line too long.", ClassPermanent, nil, ""},
		{"MLSD is not there", "list", "MLSD", 500, "Unknown command.", ClassPermanent, nil, ""},
	}},
	{"proftpd", []said{ // 1.3.8, seen unless said otherwise
		{"the disk is full", "store", "STOR", 451, "Transfer aborted. Input/output error", ClassLater, nil, ""},
		{"a missing file", "retrieve", "RETR", 550, "/none/x: No such file or directory", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing parent of a file", "store", "STOR", 550, "/none/x: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a missing parent to append", "append", "APPE", 550, "/none/x: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a missing parent of a folder", "make folder", "MKD", 550, "/none/x: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a missing parent of a new name", "rename", "RNTO", 550, "/none/x: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a missing old name", "rename", "RNFR", 550, "/none/x: No such file or directory", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing folder to list, with 4yz", "list", "LIST", 450, "/none/x: No such file or directory", ClassPermanent, fs.ErrNotExist, ""},
		{"MLST does not say why", "stat", "MLST", 550, "'/none/x' cannot be listed", ClassPermanent, nil, ""},
		{"a folder that exists", "make folder", "MKD", 550, "/none/x: File exists", ClassPermanent, fs.ErrExist, ""},
		{"a file on the way", "store", "STOR", 550, "/none/x: Not a directory", ClassPermanent, nil, ""},
		{"a folder in the place of a file", "store", "STOR", 550, "/none/x: Not a regular file", ClassPermanent, nil, ""},
		{"a folder with files", "remove folder", "RMD", 550, "/none/x: Directory not empty", ClassPermanent, nil, ""},
		{"no rights", "store", "STOR", 550, "/none/x: Permission denied", ClassPermanent, fs.ErrPermission, ""},
		{"a folder under a new name", "rename", "RNTO", 550, "/none/x: Operation not permitted", ClassPermanent, fs.ErrPermission, ""},
		{"overwriting is off", "store", "STOR", 550, "/none/x: Overwrite permission denied", ClassPermanent, fs.ErrPermission, ""},
		{"going on is off, with 4yz", "store", "STOR", 451, "/none/x: Append/Restart not permitted, try again", ClassOffset, nil, ""},
		{"beyond the end", "store", "STOR", 554, "REST: invalid /none/x argument", ClassOffset, nil, ""},
		{"SIZE in TYPE A is refused", "size", "SIZE", 550, "SIZE not allowed in ASCII mode", ClassPermanent, nil, ""},
		{"the server is full, after the password", "login", "PASS", 530, "Sorry, the maximum number of allowed clients (4) are already connected.", ClassBusy, nil, ""},
		{"the user has enough", "login", "PASS", 530, "Sorry, the maximum number of clients (3) for this user are already connected.", ClassBusy, nil, ""},
		{"the password is wrong", "login", "PASS", 530, "Login incorrect.", ClassAuthentication, nil, ""},
		{"the host is banned", "login", "PASS", 530, "Sorry, this host has been banned", ClassAuthentication, nil, ""},
		{"TLS is a must", "login", "USER", 550, "SSL/TLS required on the control channel", ClassSetup, nil, ""},
		{"TLS is a must for data", "list", "MLSD", 522, "SSL/TLS required on the data channel", ClassSetup, nil, ""},
		{"the session is not resumed, in the words of EPERM", "store", "STOR", 425, "Unable to build data connection: Operation not permitted", ClassSetup, nil, ""},
		{"nobody listens", "list", "MLSD", 425, "Unable to build data connection: Connection refused", ClassConnection, nil, ""},
		{"the login takes too long", "login", "USER", 421, "Login timeout (300 seconds): closing control connection", ClassUnavailable, nil, ""},
		{"the session was idle for too long", "noop", "", 421, "Idle timeout (600 seconds): closing control connection", ClassConnection, nil, ""},
		{"a quota is full (mod_quotatab)", "store", "STOR", 552, "Transfer aborted. Disk quota exceeded", ClassLater, nil, ""},
		{"a file is too large (MaxStoreFileSize)", "store", "STOR", 550, "/none/x: File too large", ClassPermanent, nil, ""},
		{"a name is too long", "store", "STOR", 550, "/none/x: File name too long", ClassPermanent, nil, ""},
		{"an unknown command", "set time", "XYZZY", 500, "XYZZY not understood", ClassPermanent, nil, ""},
		{"there is no TLS", "login", "PROT", 500, "PROT not understood", ClassSetup, nil, ""},
	}},
	{"pure-ftpd", []said{ // 1.0.50, seen unless said otherwise
		{"the disk is full", "store", "STOR", 451, "Error during write to file\nTransfer aborted\n0.011 seconds (measured here), 29.29 Mbytes per second", ClassLater, nil, ""},
		{"a missing file", "retrieve", "RETR", 550, "Can't open /none/x: No such file or directory", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing parent of a file", "store", "STOR", 553, "Can't open that file: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a missing parent of a folder", "make folder", "MKD", 550, "Can't create directory: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a missing parent of a new name, with 4yz", "rename", "RNTO", 451, "Rename/move failure: No such file or directory", ClassParents, fs.ErrNotExist, ""},
		{"a folder under a new name, with 4yz", "rename", "RNTO", 451, "Rename/move failure: Is a directory", ClassPermanent, nil, ""},
		{"no rights for a new name, with 4yz", "rename", "RNTO", 451, "Rename/move failure: Permission denied", ClassPermanent, fs.ErrPermission, ""},
		{"a name is taken (option -r)", "rename", "RNTO", 451, "Rename/move failure: File exists", ClassPermanent, fs.ErrExist, ""},
		{"an old name that could not be looked at", "rename", "RNFR", 550, "Sorry, but that file doesn't exist", ClassPermanent, nil, ""},
		{"a size that could not be looked at", "size", "SIZE", 550, "Can't check for file existence", ClassPermanent, nil, ""},
		{"a folder has no size", "size", "SIZE", 550, "I can only retrieve regular files", ClassPermanent, nil, ""},
		{"a folder that exists", "make folder", "MKD", 550, "Can't create directory: File exists", ClassPermanent, fs.ErrExist, ""},
		{"a missing folder", "change folder", "CWD", 550, "Can't change directory to /none/x: No such file or directory", ClassPermanent, fs.ErrNotExist, ""},
		{"no rights for a folder", "change folder", "CWD", 550, "Can't change directory to /none/x: Permission denied", ClassPermanent, fs.ErrPermission, ""},
		{"a time of a missing file", "set time", "MFMT", 550, "utime(/none/x): No such file or directory", ClassPermanent, fs.ErrNotExist, ""},
		{"a folder with files", "remove folder", "RMD", 550, "Can't remove directory: Directory not empty", ClassPermanent, nil, ""},
		{"beyond the end", "retrieve", "RETR", 554, "Restart offset 100 is too large for file size 5.\nRestart offset reset to 0", ClassOffset, nil, ""},
		{"the server is full", "connect", "", 421, "4 users (the maximum) are already logged in, sorry", ClassBusy, nil, ""},
		{"the user has enough", "login", "PASS", 421, "I can't accept more than 2 connections as the same user", ClassBusy, nil, ""},
		{"the host has enough", "login", "PASS", 530, "Sorry, you have exceeded the number of connections.", ClassBusy, nil, ""},
		{"the password is wrong", "login", "PASS", 530, "Login authentication failed", ClassAuthentication, nil, ""},
		{"the login is lost", "store", "STOR", 530, "You aren't logged in", ClassConnection, nil, ""},
		{"TLS is a must", "login", "USER", 421, "Sorry, cleartext sessions and weak ciphers are not accepted on this server.\nPlease reconnect using TLS security mechanisms.", ClassSetup, nil, ""},
		{"the line is too long", "store", "", 421, "Line too long", ClassPermanent, nil, ""},
		{"a quota is full", "store", "STOR", 552, "Quota exceeded: [x] won't be saved", ClassLater, nil, ""},
		{"dot files are not welcome", "store", "STOR", 553, "Prohibited file name: .x", ClassPermanent, nil, ""},
	}},
	{"pyftpdlib", []said{ // 1.5.7, all seen
		{"a missing file", "retrieve", "RETR", 550, "No such file or directory.", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing parent", "store", "STOR", 550, "No such file or directory.", ClassParents, fs.ErrNotExist, ""},
		{"a missing folder to list, with 501", "list", "MLSD", 501, "No such directory.", ClassPermanent, fs.ErrNotExist, ""},
		{"a size that could not be looked at", "size", "SIZE", 550, "/none/x is not retrievable.", ClassPermanent, nil, ""},
		{"a folder that exists", "make folder", "MKD", 550, "File exists.", ClassPermanent, fs.ErrExist, ""},
		{"appending is no going on", "append", "APPE", 450, "Can't APPE while REST request is pending.", ClassOffset, nil, ""},
		{"the server is full", "connect", "", 421, "Too many connections. Service temporarily unavailable.", ClassBusy, nil, ""},
		{"the password is wrong", "login", "PASS", 530, "Authentication failed.", ClassAuthentication, nil, ""},
		{"TLS is a must", "login", "USER", 550, "SSL/TLS required on the control channel.", ClassSetup, nil, ""},
		{"nobody is logged in", "list", "EPSV", 530, "Log in with USER and PASS first.", ClassConnection, nil, ""},
	}},
	{"iis", []said{
		{"a missing file", "retrieve", "RETR", 550, "The system cannot find the file specified.", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing parent", "store", "STOR", 550, "The system cannot find the path specified.", ClassParents, fs.ErrNotExist, ""},
		{"a missing file in German", "retrieve", "RETR", 550, "Das System kann die angegebene Datei nicht finden.", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing parent in German", "store", "STOR", 550, "Das System kann den angegebenen Pfad nicht finden.", ClassParents, fs.ErrNotExist, ""},
		{"a missing file in French", "retrieve", "RETR", 550, "Le fichier spécifié est introuvable.", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing file in Russian", "retrieve", "RETR", 550, "Не удается найти указанный файл.", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing file in Chinese", "retrieve", "RETR", 550, "系统找不到指定的文件。", ClassPermanent, fs.ErrNotExist, ""},
		{"a name that is taken", "rename", "RNTO", 550, "Cannot create a file when that file already exists.", ClassPermanent, fs.ErrExist, ""},
		{"a name that is taken, in German", "rename", "RNTO", 550, "Eine Datei kann nicht erstellt werden, wenn sie bereits vorhanden ist.", ClassPermanent, fs.ErrExist, ""},
		{"no rights", "make folder", "MKD", 550, "Access is denied.", ClassPermanent, fs.ErrPermission, ""},
		{"no rights in German", "make folder", "MKD", 550, "Zugriff verweigert", ClassPermanent, fs.ErrPermission, ""},
		{"a file is open, with 5yz", "store", "STOR", 550, "The process cannot access the file because it is being used by another process.", ClassRetry, nil, ""},
		{"a file is open, in German", "store", "STOR", 550, "Der Prozess kann nicht auf die Datei zugreifen, da sie von einem anderen Prozess verwendet wird.", ClassRetry, nil, ""},
		{"the disk is full", "store", "STOR", 550, "There is not enough space on the disk.", ClassLater, nil, ""},
		{"the disk is full, in German", "store", "STOR", 550, "Es steht nicht genug Speicherplatz auf dem Datenträger zur Verfügung.", ClassLater, nil, ""},
		{"TLS is a must", "login", "USER", 534, "Policy requires SSL.", ClassSetup, nil, ""},
		{"TLS is a must, in German", "login", "USER", 534, "Die Richtlinie erfordert SSL.", ClassSetup, nil, ""},
		{"the user may not log in", "login", "PASS", 530, "User cannot log in.", ClassAuthentication, nil, ""},
	}},
	{"filezilla", []said{
		{"a missing file (0.9)", "retrieve", "RETR", 550, "File not found", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing folder (0.9)", "change folder", "CWD", 550, `CWD failed. "/none/x": directory not found.`, ClassPermanent, fs.ErrNotExist, ""},
		{"1.x does not say why", "retrieve", "RETR", 550, "Couldn't open the file or directory", ClassPermanent, nil, ""},
		{"a folder that exists (0.9)", "make folder", "MKD", 550, "Directory already exists", ClassPermanent, fs.ErrExist, ""},
		{"no rights (0.9)", "store", "STOR", 550, "Permission denied", ClassPermanent, fs.ErrPermission, ""},
		{"the user has enough (0.9)", "login", "PASS", 421, "Too many users logged in for this account. Try again later.", ClassBusy, nil, ""},
		{"the session is not resumed (1.x)", "store", "STOR", 425, "Unable to build data connection: TLS session of data connection not resumed.", ClassSetup, nil, ""},
		{"TLS is a must (0.9)", "login", "USER", 530, "This server does not allow plain FTP. You have to use FTP over TLS.", ClassSetup, nil, ""},
		{"TLS is a must (1.x)", "login", "USER", 503, "Use AUTH first.", ClassSetup, nil, ""},
	}},
	{"serv-u", []said{
		{"a missing file", "retrieve", "RETR", 550, "/none/x: No such file or directory.", ClassPermanent, fs.ErrNotExist, ""},
		{"no rights, with 501", "set time", "MDTM", 501, "Permission denied.", ClassPermanent, fs.ErrPermission, ""},
		{"the host has enough", "login", "PASS", 530, "Not logged in, only 3 sessions from same IP allowed concurrently.", ClassBusy, nil, ""},
		{"the account is in use", "login", "USER", 431, "Account temporarily locked for other user, please try later.", ClassBusy, nil, ""},
		{"too many wrong passwords", "login", "PASS", 530, "Not logged in, too many tries with incorrect password.", ClassAuthentication, nil, ""},
		{"TLS is a must", "login", "USER", 530, "Not logged in, need secure connection.", ClassSetup, nil, ""},
		{"TLS is a must for data", "list", "LIST", 521, "Data connection cannot be opened with this PROT setting.", ClassSetup, nil, ""},
		{"an address that is not welcome is no lost login", "list", "PORT", 530, "Only client IP address allowed for PORT command.", ClassSetup, nil, ""},
		{"beyond the end", "retrieve", "RETR", 550, "Cannot RESTart beyond end-of-file.", ClassOffset, nil, ""},
		{"the disk is full, perhaps", "store", "STOR", 426, "Data connection closed, cannot write file /none/x - disk full?", ClassLater, nil, ""},
		{"the quota is full", "store", "STOR", 452, "Sorry, insufficient disk quota - receive file /none/x aborted.", ClassLater, nil, ""},
		{"no space, with 501", "store", "ALLO", 501, "Not enough space, only 17 Bytes available on drive C", ClassLater, nil, ""},
		{"the server ends soon", "store", "STOR", 550, "File transfer not allowed, server stop is pending.", ClassRetry, nil, ""},
		{"the session has done enough", "retrieve", "RETR", 550, "Sorry, maximum number of GETs reached for this session.", ClassConnection, nil, ""},
		{"no files are no missing folder", "list", "LIST", 550, "No files found.", ClassPermanent, nil, ""},
	}},
	{"vms", []said{
		{"a missing file", "retrieve", "RETR", 550, "-RMS-E-FNF, file not found", ClassPermanent, fs.ErrNotExist, ""},
		{"a missing folder", "store", "STOR", 550, "%RMS-E-DNF, directory not found", ClassParents, fs.ErrNotExist, ""},
		{"no rights", "retrieve", "RETR", 550, "-RMS-E-PRV, insufficient privilege or file protection violation", ClassPermanent, fs.ErrPermission, ""},
		{"a file is open", "store", "STOR", 550, "%RMS-E-FLK, file currently locked by another user", ClassRetry, nil, ""},
		{"the quota is full", "store", "STOR", 552, "%SYSTEM-F-EXDISKQUOTA, disk quota exceeded", ClassLater, nil, ""},
	}},
	{"mvs", []said{
		{"a missing data set", "retrieve", "RETR", 550, "Command RETR fails: USER1.DATA does not exist.", ClassPermanent, fs.ErrNotExist, ""},
		{"a data set in use", "retrieve", "RETR", 550, "USER1.DATA used exclusively by someone else.", ClassRetry, nil, ""},
		{"a data set of another job", "store", "STOU", 450, "Data set USER1.DATA is allocated to another job and is unavailable for STOU command", ClassRetry, nil, ""},
		{"a data set without space", "store", "STOR", 451, "System completion code and reason: B37-04", ClassLater, nil, ""},
		{"no data sets are no missing folder", "list", "LIST", 550, "No data sets found.", ClassPermanent, nil, ""},
	}},
	{"", []said{ // whoever it is
		{"the server goes down", "connect", "", 421, "Service not available", ClassUnavailable, nil, ""},
		{"the server goes down in the middle of the login", "login", "FEAT", 421, "Service not available", ClassUnavailable, nil, ""},
		{"TLS is a must, in other words", "login", "PASS", 530, "SSL/TLS required", ClassSetup, nil, ""},
		{"TLS is a must, and the server hangs up", "login", "", 421, "This server requires encryption.", ClassSetup, nil, ""},
		{"the server is worked at", "login", "PASS", 530, "Down for maintenance until Monday.", ClassUnavailable, nil, ""},
		{"the server goes down later", "store", "", 421, "Service not available", ClassConnection, nil, ""},
		{"a limit of time is none of connections", "noop", "", 421, "Idle time limit reached", ClassConnection, nil, ""},
		{"a limit at the login", "login", "PASS", 421, "Connection limit reached", ClassBusy, nil, ""},
		{"too many connections, told later", "store", "", 421, "Too many connections from this address", ClassBusy, nil, ""},
		{"AUTH fails for the moment", "connect", "AUTH", 431, "Unable to accept security mechanism", ClassUnavailable, nil, ""},
		{"AUTH is not there", "connect", "AUTH", 502, "Command not implemented", ClassSetup, nil, ""},
		{"the host is not welcome", "connect", "", 554, "Go away", ClassUnavailable, nil, ""},
		{"the greeting refuses with 530, and no password was sent", "connect", "", 530, "Not here", ClassUnavailable, nil, ""},
		{"a login in no good order", "login", "FEAT", 530, "Not logged in", ClassAuthentication, nil, ""},
		{"a password that is asked for again", "login", "PASS", 331, "Password required", ClassAuthentication, nil, ""},
		{"an account is needed", "login", "PASS", 332, "Need account", ClassAuthentication, nil, ""},
		{"an account is needed after the password was not", "login", "PWD", 332, "Need account", ClassAuthentication, nil, ""},
		{"an account is needed to store", "store", "STOR", 532, "Need account for storing files", ClassAuthentication, nil, ""},
		{"a user name is no good", "login", "USER", 501, "Invalid user name", ClassAuthentication, nil, ""},
		{"binary transfers are refused", "login", "TYPE", 504, "No", ClassPermanent, nil, ""},
		{"the login is asked for again", "store", "STOR", 331, "Password required", ClassConnection, nil, ""},
		{"a success where there can be none", "store", "REST", 250, "Done", ClassConnection, nil, ""},
		{"a level of protection is denied", "list", "LIST", 533, "Protection level denied", ClassSetup, nil, ""},
		{"a policy", "list", "LIST", 534, "Request denied", ClassSetup, nil, ""},
		{"a failed check", "list", "LIST", 535, "Failed security check", ClassSetup, nil, ""},
		{"a level that is not there", "list", "LIST", 536, "Not supported", ClassSetup, nil, ""},
		{"there is no REST", "retrieve", "REST", 502, "Command not implemented", ClassOffset, nil, ""},
		{"there is no room", "store", "STOR", 452, "Error writing file", ClassLater, nil, ""},
		{"there is no more room", "store", "STOR", 552, "Requested file action aborted", ClassLater, nil, ""},
		{"there is no room, with 4yz", "store", "STOR", 451, "write: No space left on device", ClassLater, nil, ""},
		{"too many transfers (glFTPD)", "retrieve", "RETR", 550, "You have reached your maximum simultaneous downloads allowed", ClassBusy, nil, ""},
		{"a passing error", "store", "STOR", 451, "Local error in processing", ClassRetry, nil, ""},
		{"an unknown 4yz passes", "store", "STOR", 499, "?", ClassRetry, nil, ""},
		{"an unknown 5yz lasts", "store", "STOR", 599, "?", ClassPermanent, nil, ""},
		{"a code alone is no proof", "retrieve", "RETR", 550, "No", ClassPermanent, nil, ""},
		{"a command that is not found is no missing file", "retrieve", "RETR", 500, "Command not found", ClassPermanent, nil, ""},
		{"a success is no missing file", "retrieve", "RETR", 226, "File not found in the cache, sent from disk", ClassConnection, nil, ""},
		{"a folder that exists, as RFC 959 has it", "make folder", "MKD", 521, `"/none/x" directory already exists; taking no action.`, ClassPermanent, fs.ErrExist, ""},
		{"the path speaks of a missing file", "store", "STOR", 550, "/Not Found/x: Permission denied", ClassPermanent, fs.ErrPermission, "/not found/x"},
		{"the path speaks of a quota", "store", "STOR", 550, "/quota exceeded.txt: Permission denied", ClassPermanent, fs.ErrPermission, "/quota exceeded.txt"},
		{"the path speaks of nothing but the cause", "retrieve", "RETR", 550, "/no such file: No such file or directory", ClassPermanent, nil, "/no such file"},
	}},
}

func (s said) error(server string) *Error {
	path := s.path
	if path == "" {
		path = wholePath
	}
	return &Error{Op: s.op, Path: path, Command: s.command, Code: s.code, Text: s.text, Server: server}
}

func TestWhatServersSay(t *testing.T) {
	rows := 0
	for _, server := range replyTests {
		for _, row := range server.replies {
			rows++
			t.Run(server.server+": "+row.sentence, func(t *testing.T) {
				err := fmt.Errorf("wrapped: %w", row.error(server.server))
				if got := Classify(err); got != row.class {
					t.Errorf("%v is classified %s, want %s", err, got, row.class)
				}
				for _, target := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
					if got := errors.Is(err, target); got != (target == row.is) {
						t.Errorf("%v is %v: %v", err, target, got)
					}
				}
			})
		}
	}
	if rows < 80 {
		t.Errorf("only %d rows", rows)
	}
}

// Rules that stand behind another one that always fits would be lies about what is done.
func TestEachRuleIsReached(t *testing.T) {
	usedRules, usedMeanings := map[int]bool{}, map[int]bool{}
	for _, server := range replyTests {
		for _, row := range server.replies {
			e := row.error(server.server)
			usedRules[e.rule()] = true
			for i, m := range meanings {
				if e.Code >= 400 && e.fits(m.replies) {
					usedMeanings[i] = true
					break
				}
			}
		}
	}
	for i, r := range rules {
		if !usedRules[i] {
			t.Errorf("no row reaches the rule %+v", r)
		}
	}
	for i, m := range meanings {
		if !usedMeanings[i] {
			t.Errorf("no row reaches the meaning %+v", m)
		}
	}
}

func TestRulesAreWellFormed(t *testing.T) {
	check := func(r replies, from string) {
		t.Helper()
		if from == "" {
			t.Errorf("%+v does not say where it comes from", r)
		}
		if reflect.DeepEqual(r, replies{}) {
			t.Error("a rule for everything")
		}
		for _, p := range r.text {
			if p != strings.ToLower(p) || strings.TrimSpace(p) == "" || strings.ContainsFunc(p, unicode.IsControl) {
				t.Errorf("pattern %q can never be found", p)
			}
		}
	}
	for _, m := range meanings {
		check(m.replies, m.from)
	}
	for _, r := range rules {
		if r.is == nil {
			check(r.replies, r.from)
		}
		if r.class == ClassNone || r.class >= ClassCancelled {
			t.Errorf("%+v has no class of a reply", r)
		}
	}
}

func FuzzClassify(f *testing.F) {
	for _, server := range replyTests {
		for _, row := range server.replies {
			f.Add(row.op, row.command, row.path, row.code, row.text, server.server)
		}
	}
	f.Fuzz(func(t *testing.T, op, command, path string, code int, text, server string) {
		e := &Error{Op: op, Command: command, Path: path, Code: code, Text: text, Server: server}
		for _, err := range []error{e, fmt.Errorf("wrapped: %w", e), errors.Join(e, context.DeadlineExceeded)} {
			if c := Classify(err); c == ClassNone || c >= ClassCancelled || c.String() == "unknown" {
				t.Errorf("%v is classified %s", err, c)
			}
		}
		is := 0
		for _, target := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission} {
			if errors.Is(e, target) {
				is++
			}
		}
		if is > 1 || is == 1 && code < 400 {
			t.Errorf("%v is %d of the sentinels", e, is)
		}
		if s := e.Error(); strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("control characters in %q", s)
		}
	})
}
