package list

import "strings"

// readJES reads the jobs and spool files of z/OS, in the forms of both levels of the JES interface:
//
//	IBMUSER1  JOB01906  OUTPUT    3 Spool Files
//
//	JOBNAME  JOBID    OWNER    STATUS CLASS
//	HRECALLW JOB02094 VPADEV   OUTPUT A        RC=0000
//	--------
//	         ID  STEPNAME PROCSTEP C DDNAME   BYTE-COUNT
//	         001 JES2        N/A   H JESMSGLG      1582
//	1 spool files
//
// Source: z/OS Communications Server, IP User's Guide (interfacing with JES). The name of a job is its identifier, that of
// a spool file is "JOB02094.1": these are what can be retrieved.
func readJES(line string, r *reading) (Entry, verdict) {
	var buffer [wordsAtMost]string
	words, ok := splitWords(line, &buffer)
	if !ok || len(words) < 2 {
		return Entry{}, r.skipIf(r.within != "" && isRule(line))
	}
	if isJESHead(words, line) {
		return Entry{}, skipped
	}
	entry := Entry{Type: File, Size: -1, Name: words[1]}
	if isJobID(words[1]) && len(words[0]) <= 8 && isAll(words[0], isMVSLetter) && len(words) > 2 {
		if isJobStatus(words[2]) || len(words) > 3 && isJobStatus(words[3]) {
			r.within = words[1]
			return entry, accepted
		}
	}
	if r.within == "" {
		return Entry{}, rejected
	}
	if number := strings.TrimLeft(words[0], "0"); len(words) >= 5 && len(words[0]) <= 5 && isDigits(number) {
		if size, ok := decimal(words[len(words)-1]); ok {
			entry.Name, entry.Size = r.within+"."+number, size
			return entry, accepted
		}
	}
	return Entry{}, r.skipIf(isJobDetail(words))
}

func (r *reading) skipIf(known bool) verdict {
	if known {
		return skipped
	}
	return rejected
}

func isJESHead(words []string, line string) bool {
	return words[0] == "JOBNAME" && words[1] == "JOBID" || strings.HasPrefix(line, "No jobs found on ")
}

// isJobDetail knows what the server tells about the one job that was asked for.
func isJobDetail(words []string) bool {
	switch words[0] {
	case "ID", "STEPNAME", "CPUTIME":
		return true
	}
	return len(words) == 3 && isDigits(words[0]) && strings.EqualFold(words[1], "spool") && strings.EqualFold(words[2], "files")
}

// isJobID knows "JOB01906", "TSU01830", "STC02133" and the long form "J0887745".
func isJobID(word string) bool {
	if len(word) != 8 {
		return false
	}
	switch word[:3] {
	case "JOB", "TSU", "STC":
		return isDigits(word[3:])
	}
	return strings.IndexByte("JTS", word[0]) >= 0 && isDigits(word[1:])
}

func isJobStatus(word string) bool {
	switch word {
	case "INPUT", "HELD", "ACTIVE", "OUTPUT":
		return true
	}
	return false
}
