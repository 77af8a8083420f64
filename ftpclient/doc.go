// Package ftpclient is an FTP client (RFC 959, 1123, 2228, 2389, 2428, 3659, 4217) for
// programs that must know whether a file has arrived.
//
// Dial connects, negotiates TLS and logs in. A Conn does one thing at a time:
//
//	conn, err := ftpclient.Dial(ctx, "ftp.example.com:21", ftpclient.Options{User: "u", Password: "p"})
//	defer conn.Close()
//	transfer, err := conn.Store(ctx, "/in/report.csv.part", 0)
//	_, err = transfer.ReadFrom(file)
//	result, err := transfer.Finish(ctx)
//
// Finish is the only source of success: it ends the data connection in the way that keeps
// TLS 1.3 uploads whole, and waits for the server's verdict. Even that verdict says nothing
// about length, so compare Conn.Size with what was sent before a file gets its final name.
//
// What was broken off goes on by ResumeStore and ResumeRetrieve, which first prove that what
// is there is the beginning of what is to be there: servers leave holes, append, truncate or
// ignore offsets. When everything went through and only the verdict was lost, Finish says
// ErrUnconfirmed, and VerifySize, SamePrefix or Hash tell on a new connection what has arrived.
// Abort and Stop end a transfer early and keep the connection, if the server is in step.
//
// The package makes one attempt and reports exactly what happened. It retries nothing,
// stores nothing and decides nothing about files. Errors are *Error; Classify says what can
// be done about one; what was learned about a server is a Facts value to keep for the next
// Dial. A Pool lends connections to many goroutines and learns how many the server takes.
// Listing lines that cannot be read are returned, never dropped.
package ftpclient
