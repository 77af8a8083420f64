package work

import (
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/queue"
)

// TempPath is the temporary path of a job, relative to the root of its sync; "" for jobs
// that need none. It is stored with the job before anything is written under it.
func TempPath(s Sync, instance string, job queue.Job) string {
	switch job.Kind {
	case string(plan.Download):
		return path.Join(path.Dir(job.Path), scan.TempName(path.Base(job.Path), instance, uint64(job.ID), job.Claims))
	case string(plan.Upload):
		if s.Direct {
			return ""
		}
		return s.Upload.temp(job.Path, instance, job, job.Claims)
	}
	return ""
}

// temp is the path under which an attempt of a job writes what it uploads from rel: beside the target, unless another folder
// is asked for. Its name is made of the local one, which stays while the remote one may have the time in it.
func (u Upload) temp(rel, instance string, job queue.Job, attempt int) string {
	name := scan.TempForm{Prefix: u.TempPrefix, Suffix: u.TempSuffix}.Name(path.Base(rel), instance, uint64(job.ID), attempt)
	if u.TempFolder != "" {
		return path.Join(u.TempFolder, name)
	}
	return path.Join(path.Dir(rel), name)
}

// remoteName is the path on the server of what is uploaded from rel.
func (u Upload) remoteName(rel string, modified time.Time) string {
	if u.RemoteName == nil {
		return rel
	}
	return u.RemoteName(rel, modified)
}

// target is the absolute remote path.
func (o *op) target() string {
	if o.full == "" {
		o.full = o.remote.Path(o.remoteRel)
	}
	return o.full
}

// temp is the absolute remote temporary path, in the form that this server takes.
func (o *op) temp() string { return o.tempOf(o.job.Claims) }

// tempOf is the one of another attempt.
func (o *op) tempOf(attempt int) string {
	temp := o.remote.Path(o.env.Sync.Upload.temp(o.Path, o.env.Instance, o.job, attempt))
	if o.conn.Facts().NoDotNames {
		return o.plain(temp)
	}
	return temp
}

// plain is a temporary path for servers that refuse a leading dot. A prefix that somebody has asked for stays.
func (o *op) plain(temp string) string {
	if o.env.Sync.TempPrefix != scan.DefaultTempForm.Prefix {
		return temp
	}
	return path.Join(path.Dir(temp), scan.WithoutDot(path.Base(temp)))
}
