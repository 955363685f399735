package create

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/stillpoint-db/stillpoint/backup/archive"
	"github.com/stillpoint-db/stillpoint/backup/manifest"
	"github.com/stillpoint-db/stillpoint/backup/repo"
	"github.com/stillpoint-db/stillpoint/internal/failpoint"
	"github.com/stillpoint-db/stillpoint/model"
)

const (
	fileBytes   = 1 << 30   // raw bytes at which a file is closed and the next begun
	reportBytes = 256 << 10 // raw bytes between two reports of progress
)

// part copies one part of a table into files of its own.
type part struct {
	b        *run
	t        *table
	throttle *throttle

	every int64 // bytes after which it is reported, and the throttle asked

	name string // of the file at hand
	file io.WriteCloser
	w    *archive.Writer // nil = no file is open

	rows, bytes, told int64 // since the last report; bytes of w that are reported
}

// copyPart streams the rows of a part into the repository.
func (b *run) copyPart(ctx context.Context, task task, th *throttle) error {
	p := &part{b: b, t: task.t, throttle: th, every: th.step(reportBytes)}
	err := spoiled(task.t.source.snap.Read(ctx, task.t.def, task.part, func(row *model.Row) error { return p.write(ctx, row) }))
	if p.w == nil {
		return err // the part is empty, or could not be read
	}
	if err != nil {
		_, _ = p.w.Close() // what counts is err; the file goes with the draft
		_ = p.file.Close()
		return err
	}
	if err := p.throttle.wait(ctx, p.bytes); err != nil {
		_, _ = p.w.Close()
		_ = p.file.Close()
		return err
	}
	p.report()
	return p.finish()
}

func (p *part) write(ctx context.Context, row *model.Row) error {
	if p.w == nil {
		if err := p.begin(ctx); err != nil {
			return err
		}
	}
	if err := p.w.Write(row); err != nil {
		return err
	}
	p.rows++
	if p.bytes = p.w.Written() - p.told; p.bytes < p.every {
		return nil
	}
	if err := p.throttle.wait(ctx, p.bytes); err != nil {
		return err
	}
	p.report()
	if p.w.Written() < fileBytes {
		return nil
	}
	return p.finish()
}

// report tells the progress since the last report.
func (p *part) report() {
	p.b.opts.Progress.Copied(p.t.source.db.Name, p.rows, p.bytes)
	p.rows, p.bytes, p.told = 0, 0, p.w.Written()
}

// begin begins the next file of the table.
func (p *part) begin(ctx context.Context) (err error) {
	p.t.mu.Lock()
	n := p.t.opened
	p.t.opened++
	p.t.mu.Unlock()
	p.name = repo.Path(p.t.plan.Storage, p.t.def.Name().String(), fmt.Sprintf("%04d", n))
	if p.file, err = p.b.draft.Create(ctx, p.name); err != nil {
		return err
	}
	failpoint.Here("backup.file-begun")
	p.told = 0
	if p.w, err = archive.NewWriter(p.file, p.t.def, archive.Options{Storage: p.t.plan.Storage}); err != nil {
		return errors.Join(err, p.file.Close())
	}
	return nil
}

// finish ends the file at hand.
func (p *part) finish() error {
	sum, err := p.w.Close()
	p.w = nil
	if closed := p.file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	failpoint.Here("backup.file-written")
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.t.files = append(p.t.files, manifest.File{Name: p.name, Rows: sum.Rows, Raw: sum.Raw, Size: sum.Size,
		Chunks: sum.Chunks, SHA256: hex.EncodeToString(sum.SHA256[:])})
	return nil
}
