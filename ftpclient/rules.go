package ftpclient

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// replies describes replies of servers. Zero fields fit everything.
type replies struct {
	when     phase
	commands string // those answered, separated by blanks
	code     int    // the first digits of the code, or all three
	server   string // Facts.Server
	// text is what the reply says, in lower case; one of them is enough. "*" stands for
	// anything within.
	text []string
}

// phase is when a reply came.
type phase uint8

const (
	anyTime    phase = iota
	atGreeting       // the first reply of all
	dialling         // until the login is through, the greeting included
	loggedIn         // afterwards
)

// meaning is a row of the table behind Error.Is.
type meaning struct {
	replies
	is   error  // nil when the words look like a cause and are none
	from string // where the row comes from
}

// rule is a row of the table behind Classify.
type rule struct {
	replies
	is    error // what Error.Is makes of the reply has to be this, too; nil for anything
	class Class
	from  string
}

// meanings are tried in order; the first that fits decides. The words of a cause count with
// the codes that servers use for files only: "500 command not found" is not about a file.
var meanings = []meaning{
	{is: nil, replies: replies{commands: "RNFR", server: "pure-ftpd", text: []string{"that file doesn't exist"}},
		from: "Pure-FTPd 1.0.50 says so whatever stat failed with"},
	{is: nil, replies: replies{text: []string{"restart not permitted", "restart not allowed"}},
		from: "ProFTPD 1.3.8, AllowStoreRestart off: of the offset, not of the file"},
	{is: nil, replies: replies{text: []string{"not allowed in ascii"}},
		from: "ProFTPD 1.3.8, pyftpdlib 1.5.7: SIZE in TYPE A"},
	{is: nil, replies: replies{code: 550, text: []string{"server stop is pending"}},
		from: "Serv-U: transfers are not allowed any more"},
	{is: fs.ErrNotExist, replies: replies{code: 501, server: "pyftpdlib", text: []string{"no such directory"}},
		from: "pyftpdlib 1.5.7: MLSD of a missing folder"},
	{is: fs.ErrNotExist, replies: replies{code: 45, text: notExist}, from: "ProFTPD 1.3.8: LIST; Pure-FTPd 1.0.50: RNTO"},
	{is: fs.ErrNotExist, replies: replies{code: 55, text: notExist}, from: "ProFTPD, Pure-FTPd, pyftpdlib, IIS, FileZilla Server and most others"},
	{is: fs.ErrExist, replies: replies{code: 45, text: exist}, from: "Pure-FTPd: RNTO with the option -r"},
	{is: fs.ErrExist, replies: replies{code: 55, text: exist}, from: "ProFTPD, Pure-FTPd, pyftpdlib: MKD; IIS: RNTO"},
	{is: fs.ErrExist, replies: replies{code: 521, text: exist}, from: "RFC 959 appendix II: MKD"},
	{is: fs.ErrPermission, replies: replies{code: 45, text: permission}, from: "Pure-FTPd 1.0.50: RNTO"},
	{is: fs.ErrPermission, replies: replies{code: 55, text: permission}, from: "ProFTPD, Pure-FTPd, vsftpd, IIS and most others"},
	{is: fs.ErrPermission, replies: replies{code: 501, server: "serv-u", text: permission}, from: "Serv-U"},
}

// The words for a cause: those of Unix and Windows in the languages that servers were seen
// to speak, and those of servers with words of their own. Texts that are sent for other causes,
// too, have no place here: "Failed to open file", "Couldn't open the file", "Can't check for
// file existence", "File unavailable", "is not retrievable".
var (
	notExist = []string{
		"no such file", "no such directory", "not found", "does not exist", "cannot find the", "can't find the", "rms-e-fnf", "rms-e-dnf",
		"datei nicht finden", "pfad nicht finden", "nicht gefunden",
		"est introuvable", "aucun fichier ou dossier",
		"encontrar el archivo", "encontrar la ruta", "no existe el fichero",
		"trovare il file", "trovare il percorso", "file o directory non esistente",
		"encontrar o arquivo", "encontrar o ficheiro", "encontrar o caminho", "diretório inexistente",
		"opgegeven bestand niet vinden", "opgegeven pad niet vinden", "bestand of map bestaat niet",
		"odnaleźć określonego pliku", "odnaleźć określonej ścieżki", "nie ma takiego pliku",
		"найти указанный файл", "найти указанный путь", "нет такого файла",
		"找不到指定的", "没有那个文件", "指定されたファイルが見つかりません", "指定されたパスが見つかりません", "そのようなファイル",
	}
	exist = []string{
		"file exists", "already exists", "bereits vorhanden", "existiert bereits", "existe déjà", "ya existe", "esiste già",
		"já existe", "bestaat al", "już istnieje", "уже существует", "已存在", "既に存在",
	}
	permission = []string{
		"permission denied", "access is denied", "access denied", "not permitted", "not allowed", "not authorized",
		"insufficient privilege", "rms-e-prv",
		"zugriff verweigert", "keine berechtigung", "accès refusé", "permission non accordée", "acceso denegado", "permiso denegado",
		"accesso negato", "permesso negato", "acesso negado", "permissão negada", "toegang geweigerd", "odmowa dostępu",
		"отказано в доступе", "拒绝访问", "权限不够", "アクセスが拒否", "許可がありません",
	}
)

// Commands that fail in the same way.
const (
	creating  = "STOR APPE STOU MKD XMKD RNTO"
	continued = "REST RETR STOR APPE"
	password  = "USER PASS ACCT"
)

// rules are tried in order; the first that fits decides. They stand in the order of Classify:
// the state of the connection, what was asked, what the server says, the code.
var rules = []rule{
	// The login.
	{class: ClassSetup, replies: replies{text: []string{"ssl/tls required", "must use encryption", "must be encrypted", "cleartext sessions",
		"use auth first", "requires ssl", "need secure connection", "with this prot setting"}},
		from: "ProFTPD 1.3.8, pyftpdlib 1.5.7: 550; vsftpd 3.0.3: 530, 522; Pure-FTPd 1.0.50: 421; FileZilla Server: 503; IIS: 534; Serv-U: 530, 521"},
	{class: ClassSetup, replies: replies{when: dialling, text: []string{"tls required", "ssl required", "tls is required", "ssl is required", "requires tls",
		"requires encrypt", "requires a secure", "encryption required", "encryption is required", "plain ftp", "must use tls", "must use ssl", "must use ftps",
		"secure connections", "secure connection is required", "secure connection required", "plaintext", "unencrypted"}},
		from: "FileZilla Server 0.9: 530; others in words of their own"},
	{class: ClassSetup, replies: replies{when: dialling, code: 534}, from: "RFC 2228; IIS in any language: the policy requires SSL"},
	{class: ClassAuthentication, replies: replies{when: dialling, text: []string{"login attempts", "failed login", "login failures", "failed attempts",
		"authentication failures", "too many tries", "banned", "blacklist"}},
		from: "Serv-U 530; ProFTPD with mod_ban 530: to come back soon makes it worse"},
	{class: ClassBusy, replies: replies{when: dialling, code: 421, text: crowded}, from: "vsftpd 3.0.3, Pure-FTPd 1.0.50, pyftpdlib 1.5.7: greeting; FileZilla Server 0.9"},
	{class: ClassBusy, replies: replies{when: dialling, code: 530, text: crowded}, from: "ProFTPD 1.3.8: after PASS; Serv-U; Pure-FTPd"},
	{class: ClassBusy, replies: replies{when: dialling, code: 431, text: []string{"try later"}}, from: "Serv-U: account locked by another session"},
	{class: ClassUnavailable, replies: replies{when: dialling, code: 4}, from: "RFC 959: 421 at shutdown; RFC 4217: 431 at AUTH"},
	{class: ClassUnavailable, replies: replies{when: dialling, code: 5, text: []string{"temporarily unavailable", "maintenance", "shutting down", "shut down",
		"service unavailable", "service not available", "server is closed", "server unavailable"}}, from: "servers that go down or are worked at: 530 to USER or PASS"},
	{class: ClassUnavailable, replies: replies{when: atGreeting, code: 5}, from: "a host that is not welcome, or a server that is not well"},
	{class: ClassUnavailable, replies: replies{when: dialling, code: 500, text: []string{"oops:"}}, from: "vsftpd 3.0.3: its own configuration is wrong, and it ends"},
	{class: ClassAuthentication, replies: replies{when: dialling, commands: password}, from: "RFC 959: 530, 332, and whatever else is no 2yz; 331 again"},
	{class: ClassAuthentication, replies: replies{when: dialling, code: 530}, from: "RFC 959: Not logged in"},
	{class: ClassAuthentication, replies: replies{code: 532}, from: "RFC 959: Need account for storing files"},
	{class: ClassAuthentication, replies: replies{when: dialling, code: 332}, from: "RFC 959: Need account for login"},
	{class: ClassSetup, replies: replies{when: dialling, commands: "AUTH PBSZ PROT", code: 5}, from: "RFC 4217 section 11"},

	// The session.
	{class: ClassPermanent, replies: replies{code: 421, text: []string{"line too long"}}, from: "Pure-FTPd 1.0.50: it closes after a line of 5000 bytes"},
	{class: ClassBusy, replies: replies{code: 421, text: []string{"too many", "maximum number"}}, from: "servers that count after the login"},
	{class: ClassConnection, replies: replies{code: 421}, from: "RFC 959: at any time; an idle time that is over, most often"},
	{class: ClassSetup, replies: replies{commands: "PORT EPRT PASV EPSV", code: 530, text: []string{"only client ip"}}, from: "Serv-U: not a lost login"},
	{class: ClassConnection, replies: replies{code: 530}, from: "RFC 959: the login is lost"},
	{class: ClassConnection, replies: replies{when: loggedIn, code: 33}, from: "a server that forgot the login asks for it again"},
	{class: ClassConnection, replies: replies{text: []string{"for this session"}}, from: "Serv-U 550: maximum number of GETs reached for this session"},

	// What cannot work with this set-up.
	{class: ClassSetup, replies: replies{text: []string{"session reuse", "session resum", "not resumed"}},
		from: "vsftpd 3.0.3: 522; FileZilla Server 1.x: 425; ProFTPD's log"},
	{class: ClassSetup, replies: replies{server: "proftpd", code: 425, text: []string{"operation not permitted"}},
		from: "ProFTPD 1.3.8 without TLSOptions NoSessionReuseRequired"},
	{class: ClassSetup, replies: replies{code: 425, text: []string{"bad ip connecting", "only client ip"}}, from: "vsftpd 3.0.3: data from another address than control"},
	{class: ClassSetup, replies: replies{code: 522}, from: "RFC 2428: network protocol not supported; vsftpd 3.0.3: TLS on data"},
	{class: ClassSetup, replies: replies{code: 533}, from: "RFC 2228: protection level denied"},
	{class: ClassSetup, replies: replies{code: 534}, from: "RFC 2228: request denied for policy reasons"},
	{class: ClassSetup, replies: replies{code: 535}, from: "RFC 2228: failed security check"},
	{class: ClassSetup, replies: replies{code: 536}, from: "RFC 2228: protection level not supported"},

	// Where an upload or a download cannot go on from.
	{class: ClassOffset, replies: replies{text: []string{"restart not permitted", "restart offset", "cannot restart",
		"while rest request is pending", "at requested starting point"}},
		from: "ProFTPD 1.3.8: 451; Pure-FTPd 1.0.50: 554; pyftpdlib 1.5.7: 450 to APPE; Serv-U: 550"},
	{class: ClassOffset, replies: replies{commands: continued, code: 554}, from: "RFC 3659 section 5.3; ProFTPD 1.3.8, pyftpdlib 1.5.7: beyond the end"},
	{class: ClassOffset, replies: replies{commands: "REST", code: 5}, from: "RFC 959: servers without REST"},

	// No room, for now.
	{class: ClassPermanent, replies: replies{text: []string{"file too large", "file is too large", "file size limit", "maximum file size"}},
		from: "Unix EFBIG; ProFTPD MaxStoreFileSize: a quota of one file"},
	{class: ClassLater, replies: replies{text: []string{"quota", "no space", "disk full", "disk is full", "storage exceeded", "exceeded storage",
		"insufficient storage", "insufficient space", "insufficient disk", "insufficient credit", "not enough space", "not enough disk", "out of space",
		"device full", "nicht genug speicherplatz", "espace insuffisant", "espacio en disco insuficiente", "недостаточно места", "磁盘空间不足"}},
		from: "Pure-FTPd 1.0.50: 552; Unix ENOSPC, EDQUOT; IIS 550, 552; Serv-U 426, 452, 501, 550; VMS"},
	{class: ClassLater, replies: replies{code: 451, text: []string{"failure writing to local file", "error during write to file"}},
		from: "vsftpd 3.0.3, Pure-FTPd 1.0.50: a disk that is full; they tell no cause, and others are no better"},
	{class: ClassLater, replies: replies{code: 451, commands: "STOR APPE STOU", server: "proftpd", text: []string{"input/output error"}},
		from: "ProFTPD 1.3.8 on a disk that is full"},
	{class: ClassLater, replies: replies{server: "mvs", text: []string{"b37-", "d37-", "e37-"}}, from: "z/OS: system completion codes of a data set without space"},
	{class: ClassLater, replies: replies{code: 452}, from: "RFC 959: insufficient storage space"},
	{class: ClassLater, replies: replies{code: 552}, from: "RFC 959: exceeded storage allocation"},

	// Somebody else is at it.
	{class: ClassBusy, replies: replies{text: []string{"simultaneous", "too many connections", "too many transfers", "concurrent"}},
		from: "glFTPD 550, 553; Serv-U: transfers are counted, too"},
	{class: ClassRetry, replies: replies{text: []string{"used by another", "in use by", "busy", "currently locked", "is locked", "used exclusively",
		"allocated to another job", "sharing violation", "too many open files", "cannot allocate memory", "server stop is pending",
		"try again later", "try later", "temporarily", "anderen prozess verwendet", "par un autre processus", "por otro proceso", "другим процессом", "另一个程序正在使用"}},
		from: "IIS 550: a file that is open; VMS RMS-E-FLK; z/OS 450, 550 (APAR PM52007); Unix ETXTBSY, EMFILE; Serv-U 550"},

	// The data connection.
	{class: ClassConnection, replies: replies{code: 425}, from: "RFC 959; all four servers when nobody connects"},
	{class: ClassConnection, replies: replies{code: 426}, from: "RFC 959; vsftpd 3.0.3: Failure reading network stream"},

	// What is in the way.
	{class: ClassParents, is: fs.ErrNotExist, replies: replies{commands: creating},
		from: "ProFTPD 1.3.8, pyftpdlib 1.5.7: 550; Pure-FTPd 1.0.50: 553, and 451 to RNTO; IIS: 550"},
	{class: ClassPermanent, is: fs.ErrNotExist, replies: replies{code: 4}, from: "ProFTPD 1.3.8: 450 to LIST and NLST"},
	{class: ClassPermanent, is: fs.ErrExist, replies: replies{code: 4}, from: "Pure-FTPd: 451 to RNTO with the option -r"},
	{class: ClassPermanent, is: fs.ErrPermission, replies: replies{code: 4}, from: "Pure-FTPd 1.0.50: 451 to RNTO"},
	{class: ClassPermanent, replies: replies{code: 4, text: []string{"is a directory", "not a directory", "not a regular file", "not empty", "name too long",
		"invalid argument", "read-only file system", "no files found"}},
		from: "Pure-FTPd 1.0.50: 451 Rename/move failure and the words of Unix"},

	// The first digit.
	{class: ClassRetry, replies: replies{code: 4}, from: "RFC 1123 section 4.1.2.11"},
	{class: ClassPermanent, replies: replies{code: 5}, from: "RFC 1123 section 4.1.2.11"},
}

// crowded are the words for too many connections at the login.
var crowded = []string{
	"too many", "maximum", "the limit", "limit reached", "limit exceeded", "exceeded the number", "already connected", "already logged in", "no more connections",
	"accept more than", "connect more than", "only*session*allowed", "simultaneous", "is restricted to", "overloaded",
	"try again later", "try back later", "please try later",
}

// meaning is the sentinel of io/fs that the reply stands for, nil for none.
func (e *Error) meaning() error {
	if e.Code < 400 {
		return nil
	}
	for _, m := range meanings {
		if e.fits(m.replies) {
			return m.is
		}
	}
	return nil
}

func (e *Error) fits(r replies) bool {
	return e.came(r.when) &&
		(r.commands == "" || slices.Contains(strings.Fields(r.commands), e.Command)) &&
		(r.code == 0 || strings.HasPrefix(strconv.Itoa(e.Code), strconv.Itoa(r.code))) &&
		(r.server == "" || r.server == e.Server) &&
		(len(r.text) == 0 || e.says(r.text...))
}

func (e *Error) came(p phase) bool {
	dials := e.Op == "connect" || e.Op == "login"
	switch p {
	case atGreeting:
		return e.Op == "connect" && e.Command == ""
	case dialling:
		return dials
	case loggedIn:
		return !dials
	}
	return true
}

// says reports whether the text of the reply holds one of the patterns. Servers repeat the
// path in their texts, so a pattern that is part of the path says nothing: "550 /not found/x:
// Permission denied".
func (e *Error) says(patterns ...string) bool {
	text, path := strings.ToLower(e.Text), strings.ToLower(e.Path)
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return holds(text, pattern) && !holds(path, pattern)
	})
}

func holds(text, pattern string) bool {
	for part := range strings.SplitSeq(pattern, "*") {
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = after
	}
	return true
}
