package config

import (
	"errors"
	"fmt"
	"time"

	"github.com/zalando/go-keyring"
)

// keyringPatience is how long the keyring of the system may take: it may ask a person to unlock it.
const keyringPatience = 30 * time.Second

// fromKeyring asks the keyring of the system: the Secret Service on Linux and BSD, the Keychain on macOS, the Credential Manager
// on Windows.
func fromKeyring(l *loader, _ key, noun string, file rawSecret, who login) (string, string, error) {
	account := file.User
	if account == "" {
		account = who.user
	}
	type answer struct {
		value string
		err   error
	}
	answers := make(chan answer, 1)
	// Nothing ends a question to the keyring. One that gets no answer is left behind; the program does not start then.
	go func() {
		value, err := keyring.Get(file.Keyring, account)
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		switch {
		case errors.Is(a.err, keyring.ErrNotFound):
			return "", "", fmt.Errorf("the keyring has no %s of service %q and user %q: on Linux put it there by "+
				`"secret-tool store --label=ftpferry service %s username %s"`, noun, file.Keyring, account, file.Keyring, account)
		case a.err != nil:
			return "", "", fmt.Errorf("the keyring of the system does not answer (%s): it is there in the session of a desktop; "+
				"on a server without one use { file = ... } or { credential = ... }", oneLine(a.err))
		case a.value == "":
			return "", "", fmt.Errorf("the %s of service %q and user %q in the keyring is empty", noun, file.Keyring, account)
		}
		return a.value, "", nil
	case <-l.over:
		return "", "", errors.New("the keyring of the system is not waited for")
	case <-time.After(keyringPatience):
		return "", "", fmt.Errorf("the keyring of the system has not answered for %s: it may be locked and ask for its password; "+
			"on a server use { file = ... } or { credential = ... }", keyringPatience)
	}
}
