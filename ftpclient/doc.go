// Package ftpclient is an FTP client (RFC 959, 1123, 2228, 2389, 2428, 3659, 4217) for
// programs that must know whether a file has arrived.
//
// # Connections
//
// Dial connects, negotiates TLS and logs in. A Conn does one thing at a time, and every
// method takes a context; relative paths begin at Conn.Home.
//
//	conn, err := ftpclient.Dial(ctx, "ftp.example.com:21", ftpclient.Options{User: "u", Password: "p"})
//	defer conn.Close()
//
// The zero Options mean explicit TLS (AUTH TLS) and a verified certificate: clear text has to
// be asked for (TLSNone). Data connections are made in the first way that works, EPSV before
// PASV; on each of them the session of the control connection is resumed, which servers ask
// for as a proof, and the certificate has to be the same.
//
// A Pool lends connections to many goroutines and learns how many the server takes.
//
// # Transfers
//
// Store, Append and Retrieve begin a Transfer, which is read or written like a stream and
// ends with Finish:
//
//	transfer, err := conn.Store(ctx, "/in/report.csv.part", 0)
//	_, err = transfer.ReadFrom(file)
//	result, err := transfer.Finish(ctx)
//
// Finish is the only source of success: it ends the data connection in the way that keeps
// TLS 1.3 uploads whole, and waits for the server's verdict. Even that verdict says nothing
// about length, so compare Conn.Size with what was sent before a file gets its final name
// (Conn.VerifySize, Conn.Rename). Abort and Stop end a transfer early and keep the connection,
// if the server is in step.
//
// What was broken off goes on by ResumeStore and ResumeRetrieve, which first prove that what
// is there is the beginning of what is to be there: servers leave holes, append, truncate or
// ignore offsets. When everything went through and only the verdict was lost, Finish says
// ErrUnconfirmed, and VerifySize, SamePrefix or Hash tell on a new connection (Conn.Redial)
// what has arrived.
//
// # Listings, names and times
//
// List uses MLSD where the server has it and reads the LIST output of some twenty kinds of
// servers elsewhere (package list). Lines that cannot be read are returned, never dropped:
// the absence of a name means something only while Listing.Incomplete is empty. An error that
// is fs.ErrNotExist is proof of absence, too.
//
// Names are the strings that listings hold. Where a server does not use UTF-8 they are
// translated (Options.Encoding), but only if the way back gives the same bytes; a name that
// does not fit stays as it is, and what was listed is always sent back as it was. Names with
// line ends or NUL are refused before anything is sent. Some servers store a file under
// another name than asked for: OddName tells which names are worth a look, Conn.KeepsName tries
// it beforehand, and Conn.StoredAs looks afterwards.
//
// Times are in UTC, to the Precision told with them. LIST is in a zone that nobody tells, so
// its offset is learned by MDTM. SetModTime knows five ways to set a time.
//
// # Errors
//
// The package makes one attempt and reports exactly what happened. It retries nothing, stores
// nothing and decides nothing about files. Errors are *Error; errors.Is tells what they are
// about (fs.ErrNotExist, ErrStalled, ErrNotResumed, ...) and Classify what can be done about
// them: try again, take a new connection, use fewer, wait, ask a person. Both read tables of
// what servers say, because codes alone mislead.
//
// # Facts
//
// What was learned about a server is a Facts value: read it with Conn.Facts, keep it where you
// like, hand it in with Options.Facts. Without facts everything is learned again, which costs
// round trips and nothing else.
//
// # What it does not do
//
// There is no ASCII mode (TYPE A changes files on the way), no transfer between two servers
// (FXP), and no way back to a clear control connection (CCC), which would let others on the way
// give commands.
package ftpclient
