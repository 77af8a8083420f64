package service

import "errors"

// check leaves the rights to Windows, which refuses those who may not. The service runs as the local system.
func (i Install) check() error {
	if i.User != "" {
		return errors.New("--user: on Windows install without, and give the account and its password in services.msc")
	}
	return nil
}
