package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// logHandler writes logs as people read them: "warning: text (key=value)".
type logHandler struct {
	out   io.Writer
	level slog.Level
	mu    *sync.Mutex
	attrs string
}

func newLogHandler(out io.Writer, level slog.Level) *logHandler {
	return &logHandler{out: out, level: level, mu: new(sync.Mutex)}
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var attrs strings.Builder
	attrs.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs.WriteString(attrText(a))
		return true
	})
	line := strings.ToLower(r.Level.String()) + ": " + r.Message
	if r.Level == slog.LevelWarn {
		line = "warning: " + r.Message
	}
	if attrs.Len() > 0 {
		line += " (" + strings.TrimPrefix(attrs.String(), ", ") + ")"
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.out, line+"\n")
	return err
}

func attrText(a slog.Attr) string { return fmt.Sprintf(", %s=%v", a.Key, a.Value.Resolve()) }

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	for _, a := range attrs {
		c.attrs += attrText(a)
	}
	return &c
}

// WithGroup ignores groups: their attributes are shown without the group's name.
func (h *logHandler) WithGroup(string) slog.Handler { return h }
