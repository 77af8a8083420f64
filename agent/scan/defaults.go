package scan

// defaultExcludes are names that programs keep for themselves beside the files of people, and that no person gives a file.
// Those with a slash at the end are of folders, all others of files.
var defaultExcludes = []struct{ pattern, reason string }{
	{".git/", "Git: an object database in use must not be copied file by file"},
	{".svn/", "Subversion"},
	{".hg/", "Mercurial"},
	{".bzr/", "Bazaar and Breezy"},
	{"CVS/", "CVS"},
	{"_darcs/", "Darcs"},
	{".jj/", "Jujutsu"},

	{"*~", "the version before the last change, as Emacs, Vim, nano and Kate keep it"},
	{".*.sw[a-p]", "Vim's swap file; it is counted down from .swp"},
	{".*.kate-swp", "Kate's swap file"},
	{".#*", "Emacs' lock, a link that leads nowhere"},
	{"#*#", "Emacs' automatic copy of what was not saved"},
	{"*___jb_tmp___", "the JetBrains editors write this and rename it"},
	{"*___jb_old___", "the JetBrains editors rename what they replace to this"},
	{"~$*", "Microsoft Office's note of who has a document open"},
	{".~lock.*#", "LibreOffice's note of who has a document open"},
	{".goutputstream-??????", "programs of GNOME write this and rename it"},

	{".nfs[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*", "a deleted file that an NFS client still has open"},
	{".fuse_hidden*", "a deleted file that a program still has open in a FUSE file system"},
	{".DS_Store", "how macOS shows the folder"},
	{"._*", "what macOS cannot store in a file of a foreign file system"},
	{"Thumbs.db", "small pictures for the Explorer of Windows"},
	{"ehthumbs.db", "small pictures for the Media Center of Windows"},

	{"/lost+found/", "what fsck found; only root can read it"},
	{"/.Trashes/", "macOS' trash of a disk"},
	{"/.Spotlight-V100/", "macOS' index of a disk"},
	{"/.fseventsd/", "macOS' journal of a disk"},
	{"/.Trash-[0-9]*/", "the trash of a user on a disk, as desktops of Linux keep it"},
	{"/$RECYCLE.BIN/", "the trash of a disk of Windows"},
	{"/System Volume Information/", "restore points of Windows; nobody can read it"},
}

func defaultRules(fold bool) (all rules) {
	for _, d := range defaultExcludes {
		patterns, err := parsePattern(d.pattern, fold)
		if err != nil {
			continue // a test holds them all to be well formed
		}
		for _, p := range patterns {
			all = append(all, rule{pattern: p, filesOnly: !p.dirsOnly, text: d.pattern, from: "default_excludes: " + d.reason})
		}
	}
	return all
}
