package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
)

// Glance is whether a server lets this client in, and has the folders of its syncs. Nothing is changed for it, and no data connection
// made unless the server can say in no other way what is there.
type Glance struct {
	Server   string         `json:"server"`
	Address  string         `json:"address"`
	Outcome  Outcome        `json:"outcome"`
	User     string         `json:"user"`
	Kind     string         `json:"kind,omitempty"` // of the server, as far as it tells
	Home     string         `json:"home,omitempty"` // the folder of the login
	Folders  []GlanceFolder `json:"folders"`
	Problems []Problem      `json:"problems"`
}

// GlanceFolder is one that syncs are about.
type GlanceFolder struct {
	Path string `json:"path"` // as configured
	// Is says what is there: "there", "missing" (the first upload makes it), or "unknown".
	Is string `json:"is"`
}

// What is where a folder should be.
const (
	folderThere   = "there"
	folderMissing = "missing"
	folderUnknown = "unknown"
)

// Wanted is a folder on the server that a sync is about.
type Wanted struct {
	Path string
	// Made: uploads make it when it is missing. Otherwise there has to be one.
	Made bool
}

// Look connects, logs in and asks for the folders.
func Look(ctx context.Context, p Patient, folders []Wanted) Glance {
	e := newExamination(p)
	g := Glance{Server: p.Server.Name, Address: p.Server.Address, User: clean(p.Server.User), Outcome: Well, Folders: []GlanceFolder{}}
	e.resolve(ctx)
	if err := e.login(ctx); err != nil {
		e.implicit = ctx.Err() == nil && e.isImplicit(ctx, err)
		e.cannotLogIn(err)
	} else {
		defer e.conn.Close()
		for _, folder := range folders {
			g.Folders = append(g.Folders, e.lookAt(ctx, folder))
		}
	}
	g.Kind, g.Home, g.Problems = clean(e.report.Reach.Kind), e.report.Reach.Home, e.report.Problems
	if ctx.Err() != nil {
		g.Problems = []Problem{{Kind: Interrupted, What: "interrupted"}}
	}
	for _, problem := range g.Problems {
		g.Outcome = Worst(g.Outcome, problem.Kind)
	}
	return g
}

func (e *examination) lookAt(ctx context.Context, wanted Wanted) GlanceFolder {
	folder := GlanceFolder{clean(wanted.Path), folderThere}
	found, err := e.conn.Stat(ctx, wanted.Path)
	switch {
	case err == nil && found.Type == list.File:
		folder.Is = folderUnknown
		e.problem(NeedsPerson, folder.Path+" is a file on the server", "write the folder that is meant as remote")
	case err == nil && wanted.Made && found.Perm != "" && !strings.ContainsAny(found.Perm, "cC"): // RFC 3659 section 7.5.5
		e.problem(NeedsPerson, fmt.Sprintf("the server says that %s may not store files in %s", clean(e.Server.User), folder.Path),
			"ask the operator of the server for the right to write there, or check user and remote in the configuration")
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		folder.Is = folderMissing
		if !wanted.Made {
			e.problem(NeedsPerson, fmt.Sprintf("there is no folder %s on the server", folder.Path),
				"check remote in the configuration: without a leading slash it begins at the folder of the login, "+e.report.Reach.Home)
			break
		}
		e.lookAbove(ctx, wanted.Path)
	default:
		folder.Is = folderUnknown
		kind, cure := cureOf(err, e.Server.Address, true)
		if ftpclient.Classify(err) == ftpclient.ClassPermanent || cure == "" {
			kind, cure = NeedsPerson, "ask the operator of the server for the right to look into it"
		}
		e.problem(kind, fmt.Sprintf("what %s is on the server is not known: %v", folder.Path, err), cure)
	}
	return folder
}

// lookAbove complains where a missing folder cannot be made because something else than a folder is above it.
func (e *examination) lookAbove(ctx context.Context, missing string) {
	for above := path.Dir(e.conn.Absolute(missing)); above != "/" && above != "."; above = path.Dir(above) {
		found, err := e.conn.Stat(ctx, above)
		if err == nil && found.Type == list.File {
			e.problem(NeedsPerson, fmt.Sprintf("%s cannot be made on the server, as %s is a file", clean(missing), clean(above)),
				"write another folder as remote")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
}

// Text is one line, and one for each problem with its cure behind it.
func (g Glance) Text() string {
	var b strings.Builder
	name := g.Server + " (" + g.Address + ")"
	if g.Outcome == Well {
		parts := []string{"logged in as " + g.User}
		for _, folder := range g.Folders {
			is := "is there"
			if folder.Is == folderMissing {
				is = "is going to be made"
			}
			parts = append(parts, folder.Path+" "+is)
		}
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(parts, ", "))
	}
	for _, problem := range g.Problems {
		fmt.Fprintf(&b, "%s: %s", name, strings.ReplaceAll(problem.What, "\n", " / "))
		if problem.Cure != "" {
			fmt.Fprintf(&b, "; %s", problem.Cure)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
