package ftpclient_test

import "github.com/ftpferry/ftpferry/ftpclient"

// remembered are the channels of a client that has found the way before.
func remembered(way string) ftpclient.Channels {
	return ftpclient.Channels{{Way: way}}
}
