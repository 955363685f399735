// Package progress shows how long work goes on: several tasks at once, each with
// what is done, what there is to do, the rate, and the time left.
//
//	r := progress.New(os.Stderr, progress.Auto)
//	defer r.Close()
//	task := r.Task("pg", total, progress.Bytes)
//	task.Add(n) // from any goroutine
//	task.Done("412 MB in 4 s")
//
// A nil *Reporter and a nil *Task do nothing, so that work which nobody watches
// needs no second code path.
package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
)

// Form is how progress is shown.
type Form uint8

// The forms.
const (
	// Auto is Terminal on a terminal and Plain elsewhere.
	Auto Form = iota
	// Terminal draws one line a task again and again.
	Terminal
	// Plain prints one line a task every few seconds.
	Plain
	// JSON prints one event a line.
	JSON
	// Silent prints nothing.
	Silent
)

const (
	drawEvery  = 200 * time.Millisecond // on a terminal
	printEvery = 3 * time.Second        // elsewhere
)

// Unit says what a task counts.
type Unit string

// The units.
const (
	Bytes Unit = "bytes"
	Rows  Unit = "rows"
	Items Unit = "items"
)

// Reporter shows tasks. Its methods may be called from several goroutines. It
// owns one goroutine, which Close ends.
type Reporter struct {
	out  io.Writer
	form Form
	stop chan struct{}
	done sync.WaitGroup
	once sync.Once

	mu    sync.Mutex // guards what follows, and out
	tasks []*Task    // those that are neither done nor failed
	drawn int        // lines on the terminal that the next drawing replaces
}

// New makes a Reporter that writes to out. It must be closed.
func New(out io.Writer, form Form) *Reporter {
	if form == Auto {
		form = Plain
		if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) && os.Getenv("TERM") != "dumb" {
			form = Terminal
		}
	}
	r := &Reporter{out: out, form: form, stop: make(chan struct{})}
	if form == Silent {
		return r
	}
	every := printEvery
	if form == Terminal {
		every = drawEvery
	}
	r.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.show()
			case <-r.stop:
				return
			}
		}
	})
	return r
}

// Close ends the showing. Tasks that are not done stay as they were shown last.
func (r *Reporter) Close() {
	if r == nil {
		return
	}
	r.once.Do(func() { close(r.stop) })
	r.done.Wait()
}

// Task begins a task. total is how much there is to do; -1 = unknown.
func (r *Reporter) Task(name string, total int64, unit Unit) *Task {
	if r == nil {
		return nil
	}
	t := &Task{reporter: r, name: name, unit: unit, began: time.Now()}
	t.total.Store(total)
	t.seenAt = t.began
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks = append(r.tasks, t)
	if r.form == JSON {
		r.event(t, "start", "")
	}
	return t
}

// Say prints one line between the tasks: something that happened.
func (r *Reporter) Say(name, format string, args ...any) {
	if r == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.form {
	case JSON:
		r.write(event{Event: "note", Task: name, Text: text})
	case Terminal, Plain:
		r.line(column(name) + text)
	}
}

// Task is one piece of work. Its methods may be called from several goroutines.
type Task struct {
	reporter *Reporter
	name     string
	unit     Unit
	began    time.Time
	done     atomic.Int64
	total    atomic.Int64

	// Guarded by reporter.mu.
	seen   int64 // done at the last look
	seenAt time.Time
	rate   float64 // a second, smoothed; 0 = not known yet
	ended  bool
}

// Add says that n more are done.
func (t *Task) Add(n int64) {
	if t != nil {
		t.done.Add(n)
	}
}

// SetTotal corrects how much there is to do; -1 = unknown.
func (t *Task) SetTotal(n int64) {
	if t != nil {
		t.total.Store(n)
	}
}

// Done ends the task well. summary is what its last line says; with an empty
// one, the line tells amount and time.
func (t *Task) Done(summary string) { t.end("done", summary) }

// Fail ends the task badly. The error itself is for whoever returns it.
func (t *Task) Fail(err error) { t.end("failed", err.Error()) }

func (t *Task) end(how, text string) {
	if t == nil {
		return
	}
	r := t.reporter
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.ended {
		return
	}
	t.ended = true
	for i, other := range r.tasks {
		if other == t {
			r.tasks = append(r.tasks[:i], r.tasks[i+1:]...)
			break
		}
	}
	switch r.form {
	case JSON:
		r.event(t, how, text)
	case Terminal, Plain:
		if how == "failed" {
			text = "failed: " + text
		} else if text == "" {
			text = amount(t.done.Load(), t.unit) + " in " + span(time.Since(t.began))
		}
		r.line(column(t.name) + text)
	}
}

// show shows all tasks as they are now.
func (r *Reporter) show() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, t := range r.tasks {
		t.look(now)
	}
	switch r.form {
	case JSON:
		for _, t := range r.tasks {
			r.event(t, "progress", "")
		}
	case Plain:
		for _, t := range r.tasks {
			fmt.Fprintln(r.out, t.text())
		}
	case Terminal:
		r.erase()
		r.draw()
	}
}

// look notes the rate since the last look, smoothed over about ten looks.
func (t *Task) look(now time.Time) {
	past := now.Sub(t.seenAt).Seconds()
	if past <= 0 {
		return
	}
	done := t.done.Load()
	current := float64(done-t.seen) / past
	if t.rate == 0 {
		t.rate = current
	} else {
		t.rate += (current - t.rate) * 0.2
	}
	t.seen, t.seenAt = done, now
}

// line prints a line for good, above the lines that are drawn again.
func (r *Reporter) line(s string) {
	if r.form == Plain {
		fmt.Fprintln(r.out, s)
		return
	}
	r.erase()
	fmt.Fprintln(r.out, s)
	r.draw()
}

func (r *Reporter) erase() {
	for ; r.drawn > 0; r.drawn-- {
		fmt.Fprint(r.out, "\x1b[1A\x1b[2K")
	}
}

func (r *Reporter) draw() {
	for _, t := range r.tasks {
		fmt.Fprintln(r.out, t.text())
	}
	r.drawn = len(r.tasks)
}

// event is a line of form JSON. Its shape is part of the interface for scripts.
type event struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // start, progress, done, failed, note
	Task  string    `json:"task,omitempty"`
	Done  *int64    `json:"done,omitempty"`
	Total *int64    `json:"total,omitempty"` // missing if unknown
	Unit  Unit      `json:"unit,omitempty"`
	Rate  *float64  `json:"rate_per_s,omitempty"`
	Left  *float64  `json:"left_s,omitempty"`
	Text  string    `json:"text,omitempty"`
}

func (r *Reporter) event(t *Task, kind, text string) {
	done, total := t.done.Load(), t.total.Load()
	e := event{Event: kind, Task: t.name, Done: &done, Unit: t.unit, Text: text}
	if total >= 0 {
		e.Total = &total
	}
	if kind == "progress" {
		e.Rate = &t.rate
		if left, ok := t.left(); ok {
			s := left.Seconds()
			e.Left = &s
		}
	}
	r.write(e)
}

func (r *Reporter) write(e event) {
	e.Time = time.Now().UTC()
	line, err := json.Marshal(e)
	if err != nil { // no field of event can fail
		return
	}
	fmt.Fprintf(r.out, "%s\n", line)
}
